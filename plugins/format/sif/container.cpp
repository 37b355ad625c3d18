#include "sif/container.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sif {

using singularity::Code;
using singularity::Error;
using singularity::Slice;
using singularity::Stream;

namespace {

constexpr uint64_t chunk_bytes = 1 << 20;

[[noreturn]] void damaged(const std::string& path, const std::string& what) {
    throw Error(Code::corrupt, path + " is a damaged SIF: " + what);
}

std::string number(int64_t n) { return std::to_string(n); }

std::string object_name(const Descriptor& d) {
    return "object " + std::to_string(d.id) + " (" + std::string(type_text(d.type)) + ")";
}

uint64_t align(uint64_t at, uint64_t to) { return to > 1 ? (at + to - 1) / to * to : at; }

class ObjectStream final : public Stream {
public:
    ObjectStream(int fd, uint64_t offset, uint64_t size, std::string path, std::function<void()> poll)
        : fd_(fd), offset_(offset), left_(size), path_(std::move(path)), poll_(std::move(poll)) {}
    Slice next() override {
        if (poll_) poll_();
        const uint64_t n = std::min(left_, chunk_bytes);
        if (n == 0) return {};
        buffer_.resize(static_cast<size_t>(n));
        read_exactly(fd_, offset_, buffer_, path_);
        offset_ += n;
        left_ -= n;
        return Slice::borrowed(buffer_.data(), n);
    }

private:
    int fd_;
    uint64_t offset_, left_;
    std::string path_;
    std::function<void()> poll_;
    std::vector<uint8_t> buffer_;
};

}  // namespace

Container Container::open(const std::string& path, bool writable) {
    File file(::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (file.fd() < 0) throw_errno("cannot open", path);
    const uint64_t size = size_of(file.fd(), path);
    if (writable && ::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) throw_errno("cannot lock", path);
        throw Error(Code::io, path + " is being changed by another process", "try again when that process has ended");
    }
    Container c = parse(std::move(file), path, size);
    c.writable_ = writable;
    return c;
}

Container Container::parse(File file, std::string path, uint64_t file_size) {
    Container c;
    c.file_ = std::move(file);
    c.path_ = std::move(path);
    std::array<uint8_t, header_bytes> head;
    const uint64_t got = read_some(c.fd(), 0, head, c.path_);
    if (got < header_bytes)
        throw Error(Code::corrupt,
                    c.path_ + " is no SIF: it has " + std::to_string(got) + " bytes, fewer than a SIF header");
    c.header_ = decode_header(head);
    c.check_header(file_size);
    std::vector<uint8_t> table(static_cast<size_t>(c.header_.total) * descriptor_bytes);
    read_exactly(c.fd(), static_cast<uint64_t>(c.header_.table_offset), table, c.path_);
    c.slots_.reserve(static_cast<size_t>(c.header_.total));
    for (size_t at = 0; at < table.size(); at += descriptor_bytes)
        c.slots_.push_back(decode_descriptor({table.data() + at, descriptor_bytes}));
    c.check_objects(file_size);
    return c;
}

void Container::check_header(uint64_t file_size) const {
    const Header& h = header_;
    if (std::string_view(h.magic.data(), h.magic.size()) != magic_text)
        throw Error(Code::invalid, path_ + " is no SIF: it does not have the SIF magic");
    if (std::string_view(h.version.data(), h.version.size()) != version_text)
        throw Error(Code::unsupported, path_ + ": incompatible SIF version (only version 01 can be read)");
    const std::pair<const char*, int64_t> members[] = {
        {"descriptors free", h.free},       {"descriptors total", h.total}, {"descriptors offset", h.table_offset},
        {"descriptors size", h.table_size}, {"data offset", h.data_offset}, {"data size", h.data_size}};
    for (const auto& [name, value] : members)
        if (value < 0) damaged(path_, std::string(name) + " in the header is negative (" + number(value) + ")");
    const auto total = static_cast<uint64_t>(h.total), table = static_cast<uint64_t>(h.table_offset),
               table_size = static_cast<uint64_t>(h.table_size);
    if (h.free > h.total)
        damaged(path_, "more descriptors are free (" + number(h.free) + ") than there are (" + number(h.total) + ")");
    if (total > max_slots)
        throw Error(Code::limit, path_ + " has " + number(h.total) + " descriptors, more than the limit of " +
                                     std::to_string(max_slots));
    if (total * descriptor_bytes > table_size)
        damaged(path_, number(h.total) + " descriptors do not fit into the descriptors size of " +
                           number(h.table_size) + " bytes");
    if (table < header_bytes)
        damaged(path_, "the descriptors lie over the header (offset " + number(h.table_offset) + ")");
    if (table > file_size || table_size > file_size - table)
        damaged(path_, "the descriptors (offset " + number(h.table_offset) + ", " + number(h.table_size) +
                           " bytes) lie past the end of the file (" + std::to_string(file_size) + " bytes)");
    if (static_cast<uint64_t>(h.data_offset) < header_bytes)
        damaged(path_, "the data offset " + number(h.data_offset) + " lies in the header");
    if (static_cast<uint64_t>(h.data_offset) > align(file_size, partition_alignment))
        damaged(path_, "the data offset " + number(h.data_offset) + " lies past the end of the file (" +
                           std::to_string(file_size) + " bytes)");
    if (h.data_size > INT64_MAX - h.data_offset) damaged(path_, "data offset and data size are too large");
}

void Container::check_objects(uint64_t file_size) const {
    struct Extent {
        uint64_t begin, end;
        std::string name;
    };
    std::vector<Extent> extents;
    extents.push_back({0, header_bytes, "the header"});
    if (header_.table_size > 0)
        extents.push_back({static_cast<uint64_t>(header_.table_offset),
                           static_cast<uint64_t>(header_.table_offset) + static_cast<uint64_t>(header_.table_size),
                           "the descriptors"});
    std::vector<uint32_t> ids;
    const Descriptor* primary = nullptr;
    for (const Descriptor& d : slots_) {
        if (d.used == 0) continue;
        const std::string name = object_name(d);
        if (d.used != 1) damaged(path_, name + " is marked as used with " + std::to_string(d.used) + " instead of 1");
        if (d.id == 0) damaged(path_, "an object has the id 0");
        if (d.offset < 0 || d.size < 0 || d.padded_size < 0)
            damaged(path_, name + " has a negative offset or size (offset " + number(d.offset) + ", size " +
                               number(d.size) + ", with padding " + number(d.padded_size) + ")");
        const auto offset = static_cast<uint64_t>(d.offset), size = static_cast<uint64_t>(d.size);
        if (offset > file_size || size > file_size - offset)
            damaged(path_, name + " (offset " + number(d.offset) + ", " + number(d.size) +
                               " bytes) lies past the end of the file (" + std::to_string(file_size) + " bytes)");
        if (size > 0) extents.push_back({offset, offset + size, name});
        if (d.is(DataType::partition) && d.part_type() == part::primary) {
            if (primary)
                damaged(path_, "it has two primary system partitions, " + object_name(*primary) + " and " + name);
            primary = &d;
        }
        ids.push_back(d.id);
    }
    std::sort(ids.begin(), ids.end());
    const auto twice = std::adjacent_find(ids.begin(), ids.end());
    if (twice != ids.end()) damaged(path_, "two objects have the id " + std::to_string(*twice));
    std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
    for (size_t i = 1; i < extents.size(); ++i)
        if (extents[i].begin < extents[i - 1].end)
            damaged(path_, extents[i].name + " overlaps " + extents[i - 1].name + " at byte " +
                               std::to_string(extents[i].begin));
}

std::vector<const Descriptor*> Container::objects() const {
    std::vector<const Descriptor*> out;
    for (const Descriptor& d : slots_)
        if (d.used) out.push_back(&d);
    return out;
}

const Descriptor* Container::find(uint64_t id) const {
    for (const Descriptor& d : slots_)
        if (d.used && d.id == id) return &d;
    return nullptr;
}

const Descriptor& Container::need(uint64_t id) const {
    const Descriptor* d = find(id);
    if (!d)
        throw Error(Code::not_found, path_ + " has no object " + std::to_string(id),
                    "`singularity sif list` shows the objects");
    return *d;
}

const Descriptor* Container::primary_partition() const {
    for (const Descriptor& d : slots_)
        if (d.used && d.is(DataType::partition) && d.part_type() == part::primary) return &d;
    return nullptr;
}

std::unique_ptr<Stream> Container::read(const Descriptor& object, std::function<void()> poll) const {
    return std::make_unique<ObjectStream>(fd(), static_cast<uint64_t>(object.offset),
                                          static_cast<uint64_t>(object.size), path_, std::move(poll));
}

uint64_t Container::data_end() const {
    auto end = static_cast<uint64_t>(header_.data_offset);
    for (const Descriptor& d : slots_)
        if (d.used) end = std::max(end, static_cast<uint64_t>(d.offset) + static_cast<uint64_t>(d.size));
    return end;
}

// The table comes before the data in every file that a tool writes, but no rule says so.
uint64_t Container::file_end() const {
    return std::max(data_end(),
                    static_cast<uint64_t>(header_.table_offset) + static_cast<uint64_t>(header_.table_size));
}

void Container::store_slot(size_t slot) {
    write_exactly(fd(), static_cast<uint64_t>(header_.table_offset) + slot * descriptor_bytes, encode(slots_[slot]),
                  path_);
}

void Container::store_header(int64_t now) {
    header_.modified = now;
    header_.free = std::count_if(slots_.begin(), slots_.end(), [](const Descriptor& d) { return !d.used; });
    header_.data_size = static_cast<int64_t>(data_end()) - header_.data_offset;
    write_exactly(fd(), 0, encode(header_), path_);
    sync(fd(), path_);
}

uint32_t Container::add(const ObjectSpec& spec, Stream& data, int64_t now, const std::function<void()>& poll) {
    Descriptor d = spec.descriptor;
    const bool primary = d.is(DataType::partition) && d.part_type() == part::primary;
    if (primary && primary_partition())
        throw Error(Code::exists, path_ + " has a primary system partition already (object " +
                                      std::to_string(primary_partition()->id) + ")");
    if (d.link != 0 && !d.links_group()) need(d.link_id());
    const auto free = std::find_if(slots_.begin(), slots_.end(), [](const Descriptor& s) { return !s.used; });
    if (free == slots_.end())
        throw Error(Code::limit, path_ + " has no free descriptor: all " + std::to_string(slots_.size()) + " are used");
    const auto slot = static_cast<size_t>(free - slots_.begin());
    const auto id = static_cast<uint32_t>(slot + 1);
    if (find(id)) damaged(path_, "the id " + std::to_string(id) + " of a free descriptor is used by another one");

    // Data first: until the descriptor is written, what lies behind the last object belongs to nobody.
    const uint64_t rule = d.is(DataType::partition) ? partition_alignment : 1;
    const uint64_t end = file_end(), begin = align(end, spec.alignment ? spec.alignment : rule);
    uint64_t at = begin;
    try {
        write_zeros(fd(), end, begin - end, path_);
        for (Slice s = data.next(); s.size() > 0; s = data.next()) {
            if (poll) poll();
            if (s.size() > static_cast<uint64_t>(INT64_MAX) - at) throw Error(Code::limit, "the object is too large");
            if (s.is_hole())
                write_zeros(fd(), at, s.size(), path_);
            else
                write_exactly(fd(), at, s.bytes(), path_);
            at += s.size();
        }
        if (::ftruncate(fd(), static_cast<off_t>(at)) != 0) throw_errno("cannot write", path_);
        sync(fd(), path_);
    } catch (...) {
        if (::ftruncate(fd(), static_cast<off_t>(end)) != 0) {
        }  // best effort: dead bytes harm nobody
        throw;
    }
    d.used = 1;
    d.id = id;
    d.offset = static_cast<int64_t>(begin);
    d.size = static_cast<int64_t>(at - begin);
    d.padded_size = static_cast<int64_t>(at - end);
    slots_[slot] = d;
    store_slot(slot);
    if (primary) std::copy_n(d.arch_code().begin(), 3, header_.arch.begin());
    store_header(now);
    return id;
}

void Container::remove(uint64_t id, bool zero, int64_t now) {
    const Descriptor old = need(id);
    const auto slot = static_cast<size_t>(
        std::find_if(slots_.begin(), slots_.end(), [&](const Descriptor& d) { return d.used && d.id == id; }) -
        slots_.begin());
    if (zero) {
        write_zeros(fd(), static_cast<uint64_t>(old.offset), static_cast<uint64_t>(old.size), path_);
        sync(fd(), path_);
    }
    slots_[slot] = Descriptor{};
    if (old.is(DataType::partition) && old.part_type() == part::primary) header_.arch = {'0', '0', '\0'};
    store_slot(slot);
    store_header(now);
    // The file ends with its last object.
    const uint64_t end = file_end();
    if (size_of(fd(), path_) > end && ::ftruncate(fd(), static_cast<off_t>(end)) != 0)
        throw_errno("cannot shorten", path_);
}

void Container::set_primary(uint64_t id, int64_t now) {
    const Descriptor& wanted = need(id);
    if (!wanted.is(DataType::partition) || (wanted.part_type() != part::system && wanted.part_type() != part::primary))
        throw Error(Code::invalid, path_ + ": object " + std::to_string(id) + " is no system partition",
                    "`singularity sif list` shows the type of each object");
    if (wanted.part_type() == part::primary) return;
    // The old one steps down first: a file with none is sound, one with two is not.
    for (const bool up : {false, true})
        for (size_t i = 0; i < slots_.size(); ++i) {
            Descriptor& d = slots_[i];
            if (!d.used || !d.is(DataType::partition)) continue;
            if (up ? d.id != id : d.part_type() != part::primary) continue;
            d.set_extra_number(4, up ? part::primary : part::system);
            if (up) std::copy_n(d.arch_code().begin(), 3, header_.arch.begin());
            store_slot(i);
            break;
        }
    store_header(now);
}

std::vector<Container::Covered> Container::covered(uint32_t group) const {
    std::vector<const Descriptor*> members;
    for (const Descriptor& d : slots_)
        if (d.used && group != 0 && d.group_id() == group) members.push_back(&d);
    if (members.empty()) throw Error(Code::not_found, path_ + " has no object group " + std::to_string(group));
    std::sort(members.begin(), members.end(), [](const Descriptor* a, const Descriptor* b) { return a->id < b->id; });
    std::vector<Covered> out;
    for (const Descriptor* d : members) {
        const uint32_t relative = d->id - members.front()->id;
        out.push_back({relative, d->id, covered_bytes(*d, relative)});
    }
    return out;
}

void write_empty(int fd, const std::string& path, int64_t time, std::span<const uint8_t> uuid) {
    write_zeros(fd, 0, default_data, path);
    write_exactly(fd, 0, encode(fresh_header(time, uuid)), path);
}

}  // namespace sif
