#include "sif/writer.hpp"

#include <unistd.h>

#include <algorithm>

#include "sif/objects.hpp"

namespace sif {

using singularity::Code;
using singularity::Error;
using singularity::ForeignRoot;
using singularity::Host;

SifWriter::SifWriter(const singularity::CreateSpec& spec, const Host& host)
    : fd_(spec.fd),
      path_(spec.path),
      options_(squashfs::parse_compression(spec.compress)),
      host_(host),
      time_(spec.time == INT64_MIN ? unset_time : spec.time) {
    if (fd_ < 0) throw Error(Code::internal, "a SIF is a file: no open file was given for " + path_);
    const auto code = arch_code(spec.arch);
    if (!code)
        throw Error(
            Code::invalid, "'" + spec.arch + "' is no architecture that a SIF can name",
            "386, amd64, arm, arm64, ppc64, ppc64le, mips, mipsle, mips64, mips64le, s390x, riscv64 or loong64");
    arch_ = *code;
    options_.mtime = squashfs::clamp_time(spec.time);
    header_ = fresh_header(time_, spec.uuid);
    const bool encrypt = std::any_of(spec.options.begin(), spec.options.end(),
                                     [](const auto& o) { return o.first == "encrypt" && o.second == "true"; });
    if (!encrypt) return;
    key_ = std::make_unique<NewKey>();
    plain_ = File(host.temporary_file());
}

Descriptor SifWriter::object(DataType type) const {
    Descriptor d;
    d.type = static_cast<int32_t>(type);
    d.used = 1;
    d.group = group_mask | 1;
    d.created = d.modified = time_;
    return d;
}

void SifWriter::place(Descriptor d, uint64_t size, uint64_t alignment) {
    if (objects_.size() == default_slots)
        throw Error(Code::limit, path_ + ": a SIF has room for " + std::to_string(default_slots) + " objects");
    const uint64_t begin = (end_ + alignment - 1) / alignment * alignment;
    d.id = static_cast<uint32_t>(objects_.size() + 1);
    d.offset = static_cast<int64_t>(begin);
    d.size = static_cast<int64_t>(size);
    d.padded_size = static_cast<int64_t>(begin - end_ + size);
    end_ = begin + size;
    objects_.push_back(d);
}

void SifWriter::store_part(Descriptor d, std::string_view bytes) {
    place(d, bytes.size(), 1);
    write_exactly(fd_, static_cast<uint64_t>(objects_.back().offset),
                  {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, path_);
}

void SifWriter::part(std::string_view type, std::string_view name, std::string_view bytes) {
    const auto value = type_value(type);
    const auto word = value ? static_cast<DataType>(*value) : DataType::generic;
    if (!value || word == DataType::partition || word == DataType::signature || word == DataType::message ||
        word == DataType::sbom || word == DataType::oci_index || word == DataType::oci_blob)
        throw Error(Code::unsupported, "a new SIF cannot hold a part of type '" + std::string(type) + "'",
                    "add it to the finished file with `singularity sif add`");
    Descriptor d = object(word);
    if (name.size() > d.name.size())
        throw Error(Code::invalid, "the name of a SIF object has at most 128 bytes: " + std::string(name));
    std::copy(name.begin(), name.end(), d.name.begin());
    if (partition_)
        late_.emplace_back(d, bytes);  // where the partition ends is known at `finish`
    else
        store_part(d, bytes);
}

squashfs::SquashfsWriter& SifWriter::partition() {
    if (!partition_) {
        partition_at_ = (end_ + partition_alignment - 1) / partition_alignment * partition_alignment;
        partition_ = std::make_unique<squashfs::SquashfsWriter>(key_ ? plain_.fd() : fd_, key_ ? 0 : partition_at_,
                                                                options_, host_);
    }
    return *partition_;
}

uint64_t SifWriter::content(const char* hint, uint64_t size, singularity::Stream& data, const Host& host) {
    return partition().content(hint, size, data, host);
}

uint64_t SifWriter::adopt(const ForeignRoot& from, uint64_t node) { return partition().adopt(from, node); }

const std::string& SifWriter::family() { return partition().family(); }

void SifWriter::begin_layer(int) { partition().begin_layer(-1); }

void SifWriter::begin_image_layer(int segment) { partition().begin_layer(key_ ? -1 : segment); }

void SifWriter::hidden(const char* path, uint64_t size, singularity::Stream* data, const Host& host) {
    partition().hidden(path, size, data, host);
}

singularity::SegmentEnd SifWriter::end_layer(const Host& host) { return partition().end_layer(host); }

void SifWriter::begin_stored(singularity::Segment& segment) { partition().begin_stored(segment); }

uint64_t SifWriter::stored(const char* path, bool hidden, const Host& host) {
    return partition().stored(path, hidden, host);
}

void SifWriter::finish(const ForeignRoot& tree, const Host& host) {
    uint64_t size = partition().finish(tree, host);
    if (key_) size = key_->write_partition(plain_.fd(), size, fd_, partition_at_, options_, host);
    Descriptor d = object(DataType::partition);
    d.set_extra_number(0, key_ ? fs::gocryptfs_squashfs : fs::squashfs);
    d.set_extra_number(4, part::primary);
    std::copy(arch_.begin(), arch_.end(), d.extra.begin() + 8);
    place(d, size, partition_alignment);
    const uint32_t partition_id = objects_.back().id;
    for (auto& [descriptor, bytes] : late_) store_part(descriptor, bytes);
    if (key_ && !key_->message().empty()) {
        Descriptor message = object(DataType::message);
        message.link = partition_id;
        message.set_extra_number(0, pem_format);
        message.set_extra_number(4, rsa_oaep_message);
        store_part(message, key_->message());
    }
    // Also cuts what an earlier use of the file left behind.
    if (::ftruncate(fd_, static_cast<off_t>(end_)) != 0) throw_errno("cannot write", path_);

    std::vector<uint8_t> table(default_slots * descriptor_bytes);
    for (size_t i = 0; i < objects_.size(); ++i) {
        const auto bytes = encode(objects_[i]);
        std::copy(bytes.begin(), bytes.end(), table.begin() + static_cast<ptrdiff_t>(i * descriptor_bytes));
    }
    write_exactly(fd_, default_table, table, path_);
    header_.arch = arch_;
    header_.free = static_cast<int64_t>(default_slots - objects_.size());
    header_.data_size = static_cast<int64_t>(end_ - default_data);
    write_exactly(fd_, 0, encode(header_), path_);
}

}  // namespace sif
