// SPDX-License-Identifier: BSD-3-Clause
#include <family/squashfs_writer.hpp>

#include <family/hot_files.hpp>
#include <family/pipeline.hpp>
#include <family/table_writer.hpp>

#include <algorithm>
#include <cstring>
#include <map>
#include <sys/stat.h>

namespace squashfs {

using singularity::Code;
using singularity::Error;
using singularity::ForeignRoot;
using singularity::Host;
using singularity::Stream;

namespace {

constexpr uint64_t most_adopted_blocks = uint64_t{1} << 24;  // a larger file goes through content()
constexpr uint64_t page = 4096;

bool all_zeros(const uint8_t* p, size_t n) { return n == 0 || (p[0] == 0 && std::memcmp(p, p + 1, n - 1) == 0); }

SquashfsOptions checked(SquashfsOptions o) {
    if (o.block_size < 4096 || o.block_size > (1u << 20) || (o.block_size & (o.block_size - 1)) != 0)
        throw Error(Code::invalid, "a squashfs block has 4 KiB to 1 MiB and a power of two, not " + std::to_string(o.block_size) + " bytes");
    return o;
}

// The bytes of one content, which must be as many as were announced.
class Content {
public:
    Content(const char* hint, uint64_t size, Stream& data) : hint_(hint ? hint : ""), size_(size), data_(data) {}

    singularity::Slice next(const Host& host) {
        host.poll();
        singularity::Slice slice = data_.next();
        if (slice.size() == 0) {
            if (size_ != SG_SIZE_UNKNOWN && total_ != size_)
                wrong("ends after " + std::to_string(total_) + " of " + std::to_string(size_) + " bytes");
            return slice;
        }
        if (size_ != SG_SIZE_UNKNOWN && slice.size() > size_ - total_)
            wrong("has more than the " + std::to_string(size_) + " bytes that were announced");
        if (slice.size() > uint64_t{INT64_MAX} - total_) wrong("is larger than a file can be");
        total_ += slice.size();
        return slice;
    }

private:
    [[noreturn]] void wrong(const std::string& what) const {
        throw Error(Code::corrupt, "the file '" + std::string(hint_) + "' " + what);
    }

    const std::string_view hint_;
    const uint64_t size_;
    Stream& data_;
    uint64_t total_ = 0;
};

}  // namespace

class SquashfsWriter::Impl {
public:
    template <class Width>
    Impl(int fd, uint64_t base, const SquashfsOptions& options, const Width& width)
        : options_(checked(options)),
          compressor_(make_compressor(options_)),
          file_(fd, base),
          has_options_(write_head()),
          queue_(width),
          pipeline_(file_, queue_, *compressor_, options_.block_size),
          family_("squashfs " + compressor_name(static_cast<uint16_t>(options_.compressor)) + " " + std::to_string(options_.block_size)) {}
    ~Impl() {
        pipeline_.give_back(current_);
        pipeline_.give_back(shared_);
    }

    uint64_t content(const char* hint, uint64_t size, Stream& data, const Host& host);
    uint64_t adopt(const ForeignRoot& from, uint64_t node);
    uint64_t finish(const ForeignRoot& tree, const Host& host);
    WriterStats stats() const {
        WriterStats s = stats_;
        pipeline_.add_stats(s);
        return s;
    }

private:
    // The file whose bytes come in now.
    struct Open {
        uint64_t total = 0, holes = 0;
        uint64_t blocks = 0;
        uint32_t fill = 0;        // of the current block
        bool only_holes = true;  // so far; its buffer need not exist
    };
    // A hot file, kept until the end: only then it is known how much may be stored raw.
    struct Held {
        uint64_t id;
        Heat heat;
        bool raw = false;
        std::vector<uint8_t> bytes;
    };
    struct Tail {
        uint32_t fragment, offset;
        uint64_t whole;  // content id of a file that is nothing else, or SG_NO_CONTENT
    };
    struct FileId {
        uint64_t device, inode;
        auto operator<=>(const FileId&) const = default;
    };
    struct Foreign {
        std::shared_ptr<Source> source;
        std::unordered_map<uint64_t, uint32_t> fragments;  // by offset in the source
        std::unordered_map<ContentKey, uint64_t, ContentKeyHash> contents;
    };

    bool write_head();
    void begin_work() {
        if (broken_) throw Error(Code::internal, "this squashfs writer failed before");
        broken_ = true;
    }
    void take(Open& open, const singularity::Slice& slice, const Host& host);
    void end_block(Open& open, const Host& host);
    uint64_t end_content(Open& open, const uint8_t* tail, const Host& host, uint64_t id = SG_NO_CONTENT);
    uint64_t hold(Heat heat, uint64_t size, Content& data, const Host& host);
    void store_held(const Host& host);
    void end_fragment(const Host& host);
    Tail add_tail(const uint8_t* bytes, uint32_t size, const Host& host);
    uint64_t add_file(uint64_t size) {
        files_.emplace_back().size = size;
        return files_.size() - 1;
    }

    const SquashfsOptions options_;
    CompressorPtr compressor_;
    OutputFile file_;
    const bool has_options_;
    WorkQueue queue_;
    Pipeline pipeline_;
    const std::string family_;
    std::deque<FileData> files_;  // by content id; references stay valid
    std::unordered_map<ContentKey, Tail, ContentKeyHash> tails_;
    uint8_t* current_ = nullptr;  // block being filled
    uint8_t* shared_ = nullptr;   // fragment block being filled
    uint32_t shared_fill_ = 0, shared_number_ = 0;
    std::vector<Held> held_;
    uint64_t held_bytes_ = 0, adopted_bytes_ = 0;
    bool raw_ = false;  // what is stored now is not compressed
    std::map<FileId, Foreign> foreign_;
    std::vector<sg_stored_block> blocks_;
    WriterStats stats_;
    bool broken_ = false;
};

bool SquashfsWriter::Impl::write_head() {
    const uint8_t nothing[sizeof(sqfs_super_t)] = {};
    file_.append(nothing, sizeof nothing);
    const int n = compressor_->write_options(compressor_.get(), file_.sqfs());
    file_.check(n, "write the compressor's options");
    return n > 0;
}

void SquashfsWriter::Impl::end_block(Open& open, const Host& host) {
    ++open.blocks;
    if (open.only_holes || all_zeros(current_, open.fill)) {
        open.holes += open.fill;
        pipeline_.skip(1);
    } else {
        pipeline_.put_block(std::exchange(current_, nullptr), open.fill, raw_, host);
    }
    open.fill = 0;
    open.only_holes = true;
}

void SquashfsWriter::Impl::take(Open& open, const singularity::Slice& slice, const Host& host) {
    const uint32_t block = options_.block_size;
    const uint8_t* p = slice.data();
    uint64_t left = slice.size();
    while (left > 0) {
        if (!p && open.fill == 0 && left >= block) {
            const uint64_t count = std::min<uint64_t>(left / block, UINT32_MAX - 1 - std::min<uint64_t>(open.blocks, UINT32_MAX - 1));
            if (count == 0) throw Error(Code::limit, "a file has more blocks than squashfs can count");
            pipeline_.skip(static_cast<uint32_t>(count));
            open.blocks += count;
            open.holes += count * block;
            left -= count * block;
            continue;
        }
        const auto n = static_cast<uint32_t>(std::min<uint64_t>(left, block - open.fill));
        if (p) {
            if (!current_) current_ = pipeline_.buffer();
            if (open.only_holes) std::memset(current_, 0, open.fill);
            open.only_holes = false;
            std::memcpy(current_ + open.fill, p, n);
            p += n;
        } else if (!open.only_holes) {
            std::memset(current_ + open.fill, 0, n);
        }
        open.fill += n;
        left -= n;
        if (open.fill == block) end_block(open, host);
    }
}

void SquashfsWriter::Impl::end_fragment(const Host& host) {
    if (shared_) pipeline_.put_fragment(shared_number_, std::exchange(shared_, nullptr), shared_fill_, raw_, host);
}

SquashfsWriter::Impl::Tail SquashfsWriter::Impl::add_tail(const uint8_t* bytes, uint32_t size, const Host& host) {
    if (shared_ && shared_fill_ + size > options_.block_size) end_fragment(host);
    if (!shared_) {
        shared_number_ = pipeline_.reserve_fragment();
        shared_fill_ = 0;
        if (bytes == current_) {
            shared_ = std::exchange(current_, nullptr);
        } else {
            shared_ = pipeline_.buffer();
            std::memcpy(shared_, bytes, size);
        }
    } else {
        std::memcpy(shared_ + shared_fill_, bytes, size);
    }
    const Tail tail{shared_number_, shared_fill_, SG_NO_CONTENT};
    shared_fill_ += size;
    return tail;
}

// `tail`: the bytes of the last, partial block, open.fill of them. `id`: of a file that has one already.
uint64_t SquashfsWriter::Impl::end_content(Open& open, const uint8_t* tail, const Host& host, uint64_t id) {
    if (open.total == 0) return SG_NO_CONTENT;
    const auto file_id = [&] { return id == SG_NO_CONTENT ? add_file(open.total) : id; };
    stats_.bytes_in += open.total;
    const uint32_t size = open.fill;
    if (size > 0 && (open.only_holes || all_zeros(tail, size))) {
        // A short block of zeros needs no place in a fragment.
        ++open.blocks;
        open.holes += size;
        pipeline_.skip(1);
        open.fill = 0;
    }
    if (open.fill == 0) {
        id = file_id();
        files_[id].holes = open.holes;
        pipeline_.end_file(files_[id], host);
        return id;
    }
    const ContentKey key = pipeline_.hash()({tail, size});
    auto found = tails_.find(key);
    if (open.blocks == 0 && found != tails_.end() && found->second.whole != SG_NO_CONTENT) {
        ++stats_.files_shared;
        if (id == SG_NO_CONTENT) return found->second.whole;
        files_[id] = files_[found->second.whole];
        return id;
    }
    id = file_id();
    files_[id].holes = open.holes;
    if (open.blocks > 0) pipeline_.end_file(files_[id], host);
    if (found == tails_.end()) found = tails_.emplace(key, add_tail(tail, size, host)).first;
    if (open.blocks == 0) found->second.whole = id;
    files_[id].fragment = found->second.fragment;
    files_[id].offset = found->second.offset;
    return id;
}

uint64_t SquashfsWriter::Impl::content(const char* hint, uint64_t size, Stream& data, const Host& host) {
    begin_work();
    Content content(hint, size, data);
    const Heat heat = size > 0 && size <= std::min(largest_hot_file, most_hot_bytes - held_bytes_) ? heat_of(hint ? hint : "") : Heat::none;
    uint64_t id = SG_NO_CONTENT;
    if (heat != Heat::none) {
        id = hold(heat, size, content, host);
        broken_ = false;
        return id;
    }
    Open open;
    bool ended = false;
    for (;;) {
        const singularity::Slice slice = content.next(host);
        if (slice.size() == 0) break;
        open.total += slice.size();
        if (slice.size() == size && size < options_.block_size && !slice.is_hole()) {
            // A small file in one piece, the most frequent case: no block buffer between.
            open.fill = static_cast<uint32_t>(size);
            open.only_holes = false;
            id = end_content(open, slice.data(), host);
            ended = true;
            continue;
        }
        take(open, slice, host);
    }
    if (!ended) id = end_content(open, current_, host);
    broken_ = false;
    return id;
}

uint64_t SquashfsWriter::Impl::hold(Heat heat, uint64_t size, Content& data, const Host& host) {
    Held held{add_file(size), heat, false, {}};
    held.bytes.reserve(static_cast<size_t>(size));
    for (;;) {
        const singularity::Slice slice = data.next(host);
        if (slice.size() == 0) break;
        const auto n = static_cast<size_t>(slice.size());
        if (slice.is_hole())
            held.bytes.resize(held.bytes.size() + n);
        else
            held.bytes.insert(held.bytes.end(), slice.data(), slice.data() + n);
    }
    held_bytes_ += size;
    held_.push_back(std::move(held));
    return held_.back().id;
}

// The hottest files raw, as far as the image allows, one behind another; the others before them.
void SquashfsWriter::Impl::store_held(const Host& host) {
    uint64_t budget = hot_budget(stats_.bytes_in + held_bytes_ + adopted_bytes_);
    std::stable_sort(held_.begin(), held_.end(), [](const Held& a, const Held& b) { return a.heat < b.heat; });
    for (auto& h : held_) {
        h.raw = h.bytes.size() <= budget;
        if (h.raw) budget -= h.bytes.size();
    }
    std::stable_partition(held_.begin(), held_.end(), [](const Held& h) { return !h.raw; });
    for (auto& h : held_) {
        if (h.raw && !raw_) end_fragment(host);
        raw_ = h.raw;
        Open open;
        open.total = h.bytes.size();
        const size_t tail = h.bytes.size() % options_.block_size, whole = h.bytes.size() - tail;
        if (whole > 0) take(open, singularity::Slice::borrowed(h.bytes.data(), whole), host);
        open.fill = static_cast<uint32_t>(tail);
        open.only_holes = tail == 0;
        end_content(open, h.bytes.data() + whole, host, h.id);
        h.bytes = {};
    }
    end_fragment(host);
    raw_ = false;
}

uint64_t SquashfsWriter::Impl::adopt(const ForeignRoot& from, uint64_t node) {
    const sg_stored_v1* stored = from.table()->stored;
    if (!stored || family_ != stored->family(from.handle())) return SG_NO_CONTENT;
    const sg_attr attr = from.stat(node);
    if ((attr.mode & S_IFMT) != S_IFREG || attr.size == 0) return SG_NO_CONTENT;
    const uint64_t block = options_.block_size;
    if (attr.size / block >= most_adopted_blocks) return SG_NO_CONTENT;

    uint64_t count = 0, shared_offset = 0;
    sg_stored_block shared{};
    const auto ask = [&] {
        singularity::check([&](sg_error* e) {
            return stored->blocks(from.handle(), node, blocks_.data(), blocks_.size(), &count, &shared, &shared_offset, e);
        });
    };
    if (blocks_.empty()) blocks_.resize(64);
    ask();
    const bool has_tail = shared.size != 0;
    const uint64_t tail = attr.size % block;
    if (count != (has_tail ? attr.size / block : (attr.size + block - 1) / block)) return SG_NO_CONTENT;
    if (has_tail && (tail == 0 || shared_offset > block || tail > block - shared_offset || shared.size > block)) return SG_NO_CONTENT;
    if (count > blocks_.size()) {
        blocks_.resize(static_cast<size_t>(count));
        ask();
    }
    std::vector<uint32_t> sizes;
    sizes.reserve(static_cast<size_t>(count));
    uint64_t start = 0, bytes = 0, holes = 0;
    for (uint64_t i = 0; i < count; ++i) {
        const auto& b = blocks_[static_cast<size_t>(i)];
        if (b.size == 0) {
            holes += i + 1 < count || has_tail || tail == 0 ? block : tail;
            sizes.push_back(0);
            continue;
        }
        if (b.size > block) return SG_NO_CONTENT;
        if (bytes == 0)
            start = b.offset;
        else if (b.offset != start + bytes)
            return SG_NO_CONTENT;
        bytes += b.size;
        sizes.push_back(b.size | (b.raw ? stored_raw : 0));
    }

    const int fd = stored->fd(from.handle());
    struct stat st {};
    if (fstat(fd, &st) != 0) throw_errno("look at the image that blocks are taken from");
    Foreign& source = foreign_[{st.st_dev, st.st_ino}];
    if (!source.source) source.source = std::make_shared<Source>(fd);

    std::vector<uint64_t> identity{attr.size, start, bytes, shared.offset, shared.size, shared_offset};
    const size_t facts = identity.size();
    identity.resize(facts + (sizes.size() + 1) / 2);
    if (!sizes.empty()) std::memcpy(identity.data() + facts, sizes.data(), sizes.size() * sizeof(uint32_t));
    const ContentKey key = pipeline_.hash()({reinterpret_cast<const uint8_t*>(identity.data()), identity.size() * sizeof(uint64_t)});
    if (const auto known = source.contents.find(key); known != source.contents.end()) {
        ++stats_.files_shared;
        return known->second;
    }

    begin_work();
    const Host nobody;
    const uint64_t id = add_file(attr.size);
    FileData& file = files_[id];
    file.holes = holes;
    if (count > 0) pipeline_.take_file(file, source.source, start, bytes, std::move(sizes), nobody);
    if (has_tail) {
        const auto [at, is_new] = source.fragments.try_emplace(shared.offset, 0);
        if (is_new) {
            at->second = pipeline_.reserve_fragment();
            pipeline_.take_fragment(at->second, source.source, shared.offset, shared.size | (shared.raw ? stored_raw : 0), nobody);
        }
        file.fragment = at->second;
        file.offset = static_cast<uint32_t>(shared_offset);
    }
    source.contents.emplace(key, id);
    adopted_bytes_ += attr.size;
    broken_ = false;
    return id;
}

uint64_t SquashfsWriter::Impl::finish(const ForeignRoot& tree, const Host& host) {
    begin_work();
    store_held(host);
    pipeline_.finish(host);
    const uint64_t used = write_tables(file_, *compressor_, {files_, pipeline_, options_, has_options_}, tree, host, stats_);
    const std::vector<uint8_t> padding(static_cast<size_t>((page - used % page) % page));
    file_.append(padding.data(), padding.size());
    file_.trim();
    return used + padding.size();
}

SquashfsWriter::SquashfsWriter(int fd, uint64_t base_offset, const SquashfsOptions& options, const Host& host)
    : impl_(std::make_unique<Impl>(fd, base_offset, options, host)) {}
SquashfsWriter::SquashfsWriter(int fd, uint64_t base_offset, const SquashfsOptions& options, unsigned workers)
    : impl_(std::make_unique<Impl>(fd, base_offset, options, workers)) {}
SquashfsWriter::~SquashfsWriter() = default;

uint64_t SquashfsWriter::content(const char* hint, uint64_t size, Stream& data, const Host& host) {
    return impl_->content(hint, size, data, host);
}
uint64_t SquashfsWriter::adopt(const ForeignRoot& from, uint64_t node) { return impl_->adopt(from, node); }
uint64_t SquashfsWriter::finish(const ForeignRoot& tree, const Host& host) { return impl_->finish(tree, host); }
WriterStats SquashfsWriter::stats() const { return impl_->stats(); }

}  // namespace squashfs
