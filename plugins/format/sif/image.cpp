#include "sif/image.hpp"

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <family/squashfs_reader.hpp>

#include "sif/encryption.hpp"
#include "sif/objects.hpp"

namespace sif {

using singularity::Code;
using singularity::Error;
using singularity::Host;
using singularity::PartInfo;

namespace {

std::string absolute_path(const std::string& path) {
    std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
    return real ? std::string(real.get()) : path;
}

bool encrypted(const Descriptor& d) {
    return d.fs_type() == fs::encrypted_squashfs || d.fs_type() == fs::gocryptfs_squashfs;
}

}  // namespace

int64_t edit_time() {
    if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch && *epoch) {
        char* end = nullptr;
        errno = 0;
        const long long seconds = std::strtoll(epoch, &end, 10);
        if (errno == 0 && *end == '\0') return seconds;
    }
    return static_cast<int64_t>(::time(nullptr));
}

SifImage::SifImage(const std::string& path, bool writable)
    : container_(Container::open(path, writable)), absolute_(absolute_path(path)) {}

const Descriptor& SifImage::root_partition() const {
    const Descriptor* d = container_.primary_partition();
    if (d) return *d;
    for (const Descriptor* o : container_.objects())
        if (o->is(DataType::oci_index))
            throw Error(Code::unsupported,
                        container_.path() + " is an OCI-SIF: it holds OCI layers and no root file system",
                        "convert it with the tool that made it, or build from the image it was made of");
    throw Error(Code::unsupported,
                container_.path() + " has no primary system partition, so it cannot be run or read as an image",
                "`singularity sif list` shows what it holds");
}

sg_image_info SifImage::info() {
    sg_image_info out{};
    singularity::detail::copy_text(out.format, "sif");
    if (const Descriptor* d = container_.primary_partition()) {
        const auto arch = arch_name(d->arch_code());
        if (arch != "unknown") singularity::detail::copy_text(out.arch, arch);
        out.runnable = 1;
        out.encrypted = encrypted(*d) ? 1 : 0;
    }
    return out;
}

std::unique_ptr<singularity::Root> SifImage::open_root(const Descriptor& d, const std::string& what) const {
    if (encrypted(d)) return open_encrypted(container_, d, what);
    if (d.fs_type() == fs::ext3)
        throw Error(Code::unsupported, what + " is ext3, which can be mounted by root but not read",
                    "run it as root, or build a squashfs image from it");
    if (d.fs_type() != fs::squashfs)
        throw Error(Code::unsupported, what + " is of type " + std::string(fs_text(d.fs_type())) + ", which cannot be read");
    try {
        return squashfs::open_squashfs(container_.fd(), static_cast<uint64_t>(d.offset), static_cast<uint64_t>(d.size));
    } catch (const Error& e) {
        throw e.within(container_.path() + ", object " + std::to_string(d.id));
    }
}

sg_mount_plan SifImage::plan_of(const Descriptor& d, const std::string& what) const {
    if (encrypted(d)) throw Error(Code::unsupported, what + " is encrypted, so that the kernel cannot mount it");
    sg_mount_plan out{};
    if (d.fs_type() == fs::squashfs)
        singularity::detail::copy_text(out.type, "squashfs");
    else if (d.fs_type() == fs::ext3)
        singularity::detail::copy_text(out.type, "ext3");
    else
        throw Error(Code::unsupported, what + " is of type " + std::string(fs_text(d.fs_type())) + ", which the kernel cannot mount");
    if (absolute_.size() >= sizeof out.path) throw Error(Code::invalid, "the path of the image is too long: " + absolute_);
    singularity::detail::copy_text(out.path, absolute_);
    out.offset = static_cast<uint64_t>(d.offset);
    out.size = static_cast<uint64_t>(d.size);
    out.writable = d.fs_type() == fs::ext3 ? 1 : 0;
    return out;
}

singularity::Root& SifImage::root() {
    const std::lock_guard lock(mutex_);
    if (!root_) root_ = open_root(root_partition(), container_.path() + ": its root file system");
    return *root_;
}

sg_mount_plan SifImage::mount_plan() {
    sg_mount_plan out = plan_of(root_partition(), container_.path() + ": its root file system");
    out.writable = 0;  // the definition and the signatures beside it say what it holds
    return out;
}

singularity::Root& SifImage::part_root(uint64_t id) {
    const std::lock_guard lock(mutex_);
    auto& root = part_roots_[id];
    if (!root) root = open_root(partition(id), container_.path() + ": object " + std::to_string(id));
    return *root;
}

sg_mount_plan SifImage::part_mount_plan(uint64_t id) {
    return plan_of(partition(id), container_.path() + ": object " + std::to_string(id));
}

const Descriptor& SifImage::partition(uint64_t id) const {
    const Descriptor& d = container_.need(id);
    if (!d.is(DataType::partition))
        throw Error(Code::unsupported, container_.path() + ": object " + std::to_string(id) + " is no partition", "`singularity sif list` shows what it holds");
    return d;
}

std::vector<PartInfo> SifImage::parts() {
    std::vector<PartInfo> out;
    for (const Descriptor* d : container_.objects()) out.push_back(to_part(*d));
    return out;
}

std::unique_ptr<singularity::Stream> SifImage::read_part(uint64_t id, const Host& host) {
    return container_.read(container_.need(id), [host] { host.poll(); });
}

uint64_t SifImage::add_part(const PartInfo& spec, singularity::Stream& data, const Host& host) {
    return container_.add(to_object(spec), data, edit_time(), [&] { host.poll(); });
}

void SifImage::remove_part(uint64_t id, bool zero) { container_.remove(id, zero, edit_time()); }

void SifImage::set_primary(uint64_t id) { container_.set_primary(id, edit_time()); }

std::vector<std::pair<std::string, std::string>> SifImage::header() {
    const Header& h = container_.header();
    const auto text = [](const auto& bytes) { return std::string(bytes.data(), strnlen(bytes.data(), bytes.size())); };
    std::vector<std::pair<std::string, std::string>> out = {{"launch-script", text(h.launch)},
                                                            {"version", text(h.version)},
                                                            {"arch", std::string(arch_name(text(h.arch)))},
                                                            {"uuid", uuid_text(h.uuid)}};
    if (h.created != unset_time) out.emplace_back("created", std::to_string(h.created));
    if (h.modified != unset_time) out.emplace_back("modified", std::to_string(h.modified));
    out.emplace_back("descriptors-free", std::to_string(h.free));
    out.emplace_back("descriptors-total", std::to_string(h.total));
    out.emplace_back("descriptors-offset", std::to_string(h.table_offset));
    out.emplace_back("descriptors-size", std::to_string(h.table_size));
    out.emplace_back("data-offset", std::to_string(h.data_offset));
    out.emplace_back("data-size", std::to_string(h.data_size));
    return out;
}

std::string SifImage::covered(uint64_t group, std::vector<Covered>& parts) {
    if (group > ~group_mask)
        throw Error(Code::not_found, container_.path() + " has no object group " + std::to_string(group));
    for (auto& c : container_.covered(static_cast<uint32_t>(group)))
        parts.push_back({c.relative_id, c.id, std::move(c.descriptor)});
    return covered_bytes(container_.header());
}

}  // namespace sif
