// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <family/output_file.hpp>
#include <family/pipeline.hpp>
#include <family/segment.hpp>

namespace squashfs {

using singularity::Code;
using singularity::Error;
using singularity::Slice;

namespace {

constexpr char magic[8] = {'S', 'G', 'S', 'E', 'G', 'S', 'Q', '1'};
constexpr size_t gather = size_t{2} << 20;
constexpr uint8_t is_hot = 1, is_in_image = 2, is_missing = 4;

[[noreturn]] void damaged(const char* what) {
    throw Error(Code::corrupt, std::string("a segment of the cache is damaged: ") + what);
}

template <class T>
void put(std::vector<uint8_t>& out, T value) {
    const auto* p = reinterpret_cast<const uint8_t*>(&value);
    out.insert(out.end(), p, p + sizeof value);
}

class Reading {
public:
    explicit Reading(std::span<const uint8_t> bytes) : bytes_(bytes) {}
    template <class T>
    T next() {
        if (bytes_.size() < sizeof(T)) damaged("its index ends too early");
        T value;
        std::memcpy(&value, bytes_.data(), sizeof value);
        bytes_ = bytes_.subspan(sizeof value);
        return value;
    }
    // A count of things of at least `size` bytes each.
    uint64_t count(size_t size) {
        const auto n = next<uint64_t>();
        if (n > bytes_.size() / size) damaged("its index ends too early");
        return n;
    }
    bool at_end() const { return bytes_.empty(); }

private:
    std::span<const uint8_t> bytes_;
};

void check_file(const SegmentIndex& index, size_t number) {
    const SegmentFile& f = index.files[number];
    const uint64_t block = index.block_size, tail = f.size % block;
    const auto in_data = [&](uint64_t start, uint64_t bytes) {
        return start <= index.data_size && bytes <= index.data_size - start;
    };
    if (f.size == 0 || f.size > uint64_t{INT64_MAX} || f.same > number) damaged("a file cannot be so");
    if (f.missing) return;
    const bool grouped = f.group != UINT32_MAX;
    if (f.blocks != f.size / block + (!grouped && tail > 0 ? 1 : 0)) damaged("a file has another number of blocks");
    if (f.first_size > index.sizes.size() || f.blocks > index.sizes.size() - f.first_size)
        damaged("a file has no blocks");
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < f.blocks; ++i) {
        const uint32_t size = index.sizes[static_cast<size_t>(f.first_size) + i] & ~stored_raw;
        if (size > block) damaged("a block is too large");
        bytes += size;
    }
    if (f.in_image ? f.start > uint64_t{INT64_MAX} - bytes : !in_data(f.start, bytes))
        damaged("a file lies outside of it");
    if (grouped && (tail == 0 || f.group >= index.groups.size() || f.offset > index.groups[f.group].unpacked ||
                    tail > index.groups[f.group].unpacked - f.offset))
        damaged("the end of a file lies nowhere");
}

}  // namespace

std::vector<uint8_t> encode(const SegmentIndex& index) {
    std::vector<uint8_t> out(magic, magic + sizeof magic);
    out.reserve(64 + index.files.size() * 49 + index.sizes.size() * 4 + index.groups.size() * 17);
    put(out, index.data_size);
    put(out, index.block_size);
    put(out, index.compressor);
    put<uint64_t>(out, index.groups.size());
    for (const auto& g : index.groups)
        put(out, g.start), put(out, g.size), put(out, g.unpacked), put<uint8_t>(out, g.in_image);
    put<uint64_t>(out, index.sizes.size());
    for (const uint32_t s : index.sizes) put(out, s);
    put<uint64_t>(out, index.files.size());
    for (const auto& f : index.files) {
        put(out, f.size), put(out, f.start), put(out, f.holes), put(out, f.first_size);
        put(out, f.blocks), put(out, f.same), put(out, f.group), put(out, f.offset);
        put<uint8_t>(out, static_cast<uint8_t>((f.hot ? is_hot : 0) | (f.in_image ? is_in_image : 0) |
                                               (f.missing ? is_missing : 0)));
    }
    return out;
}

SegmentIndex decode_index(std::span<const uint8_t> bytes) {
    if (bytes.size() < sizeof magic || std::memcmp(bytes.data(), magic, sizeof magic) != 0) damaged("it has no index");
    Reading in(bytes.subspan(sizeof magic));
    SegmentIndex index;
    index.data_size = in.next<uint64_t>();
    index.block_size = in.next<uint32_t>();
    index.compressor = in.next<uint16_t>();
    if (index.block_size < 4096 || index.block_size > (1u << 20) || (index.block_size & (index.block_size - 1)) != 0)
        damaged("blocks have an impossible size");
    index.groups.resize(static_cast<size_t>(in.count(17)));
    for (auto& g : index.groups) {
        g.start = in.next<uint64_t>(), g.size = in.next<uint32_t>(), g.unpacked = in.next<uint32_t>();
        g.in_image = in.next<uint8_t>() != 0;
        const uint32_t size = g.size & ~stored_raw;
        const uint64_t end = g.in_image ? uint64_t{INT64_MAX} : index.data_size;
        if (size == 0 || size > index.block_size || g.unpacked > index.block_size || g.start > end ||
            size > end - g.start || ((g.size & stored_raw) != 0 && size != g.unpacked))
            damaged("a block lies outside of it");
    }
    index.sizes.resize(static_cast<size_t>(in.count(4)));
    for (auto& s : index.sizes) s = in.next<uint32_t>();
    index.files.resize(static_cast<size_t>(in.count(49)));
    for (auto& f : index.files) {
        f.size = in.next<uint64_t>(), f.start = in.next<uint64_t>(), f.holes = in.next<uint64_t>(),
        f.first_size = in.next<uint64_t>();
        f.blocks = in.next<uint32_t>(), f.same = in.next<uint32_t>(), f.group = in.next<uint32_t>(),
        f.offset = in.next<uint32_t>();
        const auto flags = in.next<uint8_t>();
        f.hot = (flags & is_hot) != 0, f.in_image = (flags & is_in_image) != 0, f.missing = (flags & is_missing) != 0;
    }
    if (!in.at_end()) damaged("its index is too long");
    for (size_t i = 0; i < index.files.size(); ++i) check_file(index, i);
    return index;
}

// ---- Reading --------------------------------------------------------------------------------------------

namespace {

std::vector<uint8_t> read_range(int fd, uint64_t start, uint64_t size) {
    std::vector<uint8_t> out(static_cast<size_t>(size));
    for (size_t got = 0; got < out.size();) {
        const ssize_t n = pread(fd, out.data() + got, out.size() - got, static_cast<off_t>(start + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("read a segment of the cache");
        if (n == 0) damaged("it ends too early");
        got += static_cast<size_t>(n);
    }
    return out;
}

SegmentIndex read_index(int fd, uint64_t data_size, uint64_t size) {
    if (data_size > size || size - data_size > (uint64_t{4} << 30)) damaged("its index cannot be so large");
    SegmentIndex index = decode_index(read_range(fd, data_size, size - data_size));
    if (index.data_size != data_size) damaged("its index is another one's");
    return index;
}

// A file of a segment, block by block. The segment outlives it.
class FileOfSegment final : public singularity::Stream {
public:
    FileOfSegment(StoredSegment& from, uint64_t number)
        : from_(from), file_(from.index().files[static_cast<size_t>(number)]), at_(file_.start) {}

    Slice next() override {
        if (done_ == file_.size) return {};
        const uint64_t block = from_.index().block_size;
        const uint64_t left = file_.size - done_;
        if (block_ < file_.blocks) {
            const uint32_t size = from_.index().sizes[static_cast<size_t>(file_.first_size) + block_++];
            const uint64_t n = std::min<uint64_t>(left, block);
            if (size == 0) {
                done_ += n;
                return Slice::hole(n);
            }
            buffer_.resize(static_cast<size_t>(n));
            from_.unpack(file_.in_image, at_, size, buffer_);
            at_ += size & ~stored_raw;
        } else {
            std::vector<uint8_t> group(from_.index().groups[file_.group].unpacked);
            from_.unpack_group(file_.group, group.data());
            buffer_.assign(group.begin() + file_.offset, group.begin() + file_.offset + static_cast<ptrdiff_t>(left));
        }
        done_ += buffer_.size();
        return Slice::borrowed(buffer_.data(), buffer_.size());
    }

private:
    StoredSegment& from_;
    const SegmentFile& file_;
    uint64_t at_, done_ = 0;
    uint32_t block_ = 0;
    std::vector<uint8_t> buffer_;
};

}  // namespace

StoredSegment::StoredSegment(int fd, uint64_t data_size, uint64_t size, int image)
    : own_(std::make_shared<Source>(fd)),
      image_(image >= 0 ? std::make_shared<Source>(image) : nullptr),
      index_(read_index(fd, data_size, size)),
      pool_(index_.compressor, index_.block_size) {
    const auto in_image = [](const auto& part) { return part.in_image; };
    if (!image_ && (std::any_of(index_.files.begin(), index_.files.end(), in_image) ||
                    std::any_of(index_.groups.begin(), index_.groups.end(), in_image)))
        damaged("its image is not there");
}

uint64_t StoredSegment::size(uint64_t number) const {
    if (number >= index_.files.size())
        throw Error(Code::not_found, "the segment has no file " + std::to_string(number));
    return index_.files[static_cast<size_t>(number)].size;
}

std::unique_ptr<singularity::Stream> StoredSegment::read(uint64_t number) {
    (void)size(number);
    if (!has(number)) damaged("the bytes of a file were not kept");
    return std::make_unique<FileOfSegment>(*this, number);
}

void StoredSegment::read_exactly(bool in_image, uint64_t start, uint8_t* out, size_t size) const {
    const int fd = source(in_image)->fd();
    for (size_t got = 0; got < size;) {
        const ssize_t n = pread(fd, out + got, size - got, static_cast<off_t>(start + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("read a segment of the cache");
        if (n == 0) damaged("it ends too early");
        got += static_cast<size_t>(n);
    }
}

void StoredSegment::unpack(bool in_image, uint64_t start, uint32_t size, std::span<uint8_t> out) {
    const uint32_t stored = size & ~stored_raw;
    if ((size & stored_raw) != 0) {
        if (stored != out.size()) damaged("a block has another size");
        return read_exactly(in_image, start, out.data(), out.size());
    }
    DecompressorPool::Lease lease = pool_.get();
    std::vector<uint8_t> packed(stored);
    read_exactly(in_image, start, packed.data(), packed.size());
    if (lease->run(packed, out) != static_cast<int64_t>(out.size())) damaged("a block cannot be decompressed");
}

void StoredSegment::unpack_group(uint32_t number, uint8_t* out) {
    const SegmentGroup& g = index_.groups[number];
    unpack(g.in_image, g.start, g.size, {out, g.unpacked});
}

// ---- Writing --------------------------------------------------------------------------------------------

void SegmentSink::store(const uint8_t* bytes, size_t size) {
    held_.insert(held_.end(), bytes, bytes + size);
    position_ += size;
    if (held_.size() >= gather) flush();
}

void SegmentSink::flush() {
    const uint64_t start = position_ - held_.size();
    for (size_t done = 0; done < held_.size();) {
        const ssize_t n = pwrite(fd_, held_.data() + done, held_.size() - done, static_cast<off_t>(start + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("write a segment to the cache");
        done += static_cast<size_t>(n);
    }
    held_.clear();
}

void SegmentSink::append(const uint8_t* bytes, size_t size) { store(bytes, size); }

void SegmentSink::add_block(const uint8_t* bytes, uint32_t size, uint32_t holes_before, const ContentKey& key,
                            const ContentHash& hash) {
    if (!in_file_) {
        in_file_ = true;
        file_start_ = position_;
        current_.clear();
        sequence_ = {};
    }
    current_.insert(current_.end(), holes_before, 0);
    current_.push_back(size);
    for (const uint64_t part : {uint64_t{holes_before}, uint64_t{size}, key.a, key.b})
        sequence_ = hash.extend(sequence_, part);
    if (bytes) store(bytes, size & ~stored_raw);
}

void SegmentSink::end_file(SegmentFile& file, uint32_t number, uint32_t holes_before, const ContentHash& hash,
                           uint64_t in_image) {
    file.same = number;
    if (!in_file_) {
        file.first_size = all_sizes_.size();
        file.blocks = holes_before;
        all_sizes_.insert(all_sizes_.end(), holes_before, 0);
        return;
    }
    in_file_ = false;
    current_.insert(current_.end(), holes_before, 0);
    for (const uint64_t part : {uint64_t{holes_before}, file.size & UINT32_MAX, file.size >> 32})
        sequence_ = hash.extend(sequence_, part);
    file.blocks = static_cast<uint32_t>(current_.size());
    const bool is_here = in_image == here;
    const auto [known, fresh] =
        files_.try_emplace(sequence_, Known{is_here ? file_start_ : in_image, all_sizes_.size(), number, !is_here});
    file.start = is_here ? known->second.start : in_image;
    file.in_image = !is_here || known->second.in_image;
    file.first_size = known->second.first_size;
    file.same = known->second.number;
    if (fresh) {
        all_sizes_.insert(all_sizes_.end(), current_.begin(), current_.end());
        return;
    }
    // The same blocks lie there already: take the position back. What was written is written over.
    const uint64_t start = position_ - held_.size();
    held_.resize(static_cast<size_t>(start < file_start_ ? file_start_ - start : 0));
    position_ = file_start_;
}

void SegmentSink::add_group(uint32_t number, const uint8_t* bytes, uint32_t size, uint64_t in_image) {
    if (groups_.size() <= number) groups_.resize(size_t{number} + 1);
    SegmentGroup& group = groups_[number];
    group.in_image = in_image != here;
    group.start = group.in_image ? in_image : position_;
    group.size = size;
    if (!group.in_image) store(bytes, size & ~stored_raw);
}

}  // namespace squashfs
