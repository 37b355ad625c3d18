// SPDX-License-Identifier: BSD-3-Clause
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <family/adopted.hpp>
#include <family/hot_files.hpp>
#include <family/pipeline.hpp>
#include <family/segment.hpp>
#include <family/squashfs_writer.hpp>
#include <family/table_writer.hpp>
#include <map>

namespace squashfs {

using singularity::Code;
using singularity::Error;
using singularity::ForeignRoot;
using singularity::Host;
using singularity::Stream;

namespace {

constexpr uint64_t most_adopted_blocks = uint64_t{1} << 24;  // a larger file goes through content()
constexpr uint64_t page = 4096;
// Bytes of files that an image does not show and its layer's segment keeps nevertheless, per layer. What a later layer
// usually replaces is small (databases of packages, caches of the linker): another image on the same base shows it.
constexpr uint64_t least_room = uint64_t{4} << 20, part_of_shown = 64;

bool all_zeros(const uint8_t* p, size_t n) { return n == 0 || (p[0] == 0 && std::memcmp(p, p + 1, n - 1) == 0); }

SquashfsOptions checked(SquashfsOptions o) {
    if (o.block_size < 4096 || o.block_size > (1u << 20) || (o.block_size & (o.block_size - 1)) != 0)
        throw Error(Code::invalid, "a squashfs block has 4 KiB to 1 MiB and a power of two, not " +
                                       std::to_string(o.block_size) + " bytes");
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

    // All of a file that is known to be small.
    std::vector<uint8_t> all(const Host& host) {
        std::vector<uint8_t> bytes;
        bytes.reserve(static_cast<size_t>(size_));
        for (;;) {
            const singularity::Slice slice = next(host);
            if (slice.size() == 0) return bytes;
            if (slice.is_hole())
                bytes.resize(bytes.size() + static_cast<size_t>(slice.size()));
            else
                bytes.insert(bytes.end(), slice.data(), slice.data() + slice.size());
        }
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
          family_("squashfs " + compressor_name(static_cast<uint16_t>(options_.compressor)) + " " +
                  std::to_string(options_.block_size)),
          layer_family_(family_ + " " + std::to_string(options_.level) + " " + compressor_library(options_) +
                        " segment " + std::to_string(segment_version)) {}
    ~Impl() {
        pipeline_.stop();
        for (uint8_t* b : {current_, loose_.buffer, group_.buffer, hidden_.buffer}) pipeline_.give_back(b);
    }

    uint64_t content(const char* hint, uint64_t size, Stream& data, const Host& host);
    uint64_t adopt(const ForeignRoot& from, uint64_t node);
    uint64_t finish(const ForeignRoot& tree, const Host& host);

    const std::string& layer_family() const { return layer_family_; }
    void begin_layer(int segment);
    void hidden(const char* path, uint64_t size, Stream* data, const Host& host);
    singularity::SegmentEnd end_layer(const Host& host);
    void begin_stored(StoredSegment& segment);
    uint64_t stored(const char* path, bool hidden, const Host& host);

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
        uint32_t fill = 0;       // of the current block
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
    // A fragment block that is being filled.
    struct Packer {
        uint8_t* buffer = nullptr;
        uint32_t fill = 0, number = 0;
    };
    struct Place {
        uint32_t group, offset;
    };
    struct Piece {
        uint32_t group, offset, size;
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
    template <class End>
    uint64_t take_all(uint64_t size, Content& content, const Host& host, const End& end);
    uint64_t end_content(Open& open, const uint8_t* tail, const Host& host, uint64_t id = SG_NO_CONTENT);
    uint64_t hold(Heat heat, uint64_t size, Content& data, const Host& host);
    void store_held(const Host& host);
    void end_fragment(const Host& host);
    Tail add_tail(const uint8_t* bytes, uint32_t size, const Host& host);

    // Of the layer that is open.
    bool is_hot(const char* path, uint64_t size) const {
        return size <= largest_hot_file && heat_of(path ? path : "") != Heat::none;
    }
    void enter(uint64_t size, const Host& host);  // the next file that is not hot: where a run or a group ends
    uint64_t layer_content(const char* path, uint64_t size, Stream& data, bool shown, const Host& host);
    uint64_t hot_content(const char* path, uint64_t size, Stream& data, const Host& host);
    uint64_t loose_content(uint64_t size, Content& data, const Host& host);
    uint64_t end_layer_file(Open& open, const uint8_t* tail, uint32_t number, SegmentFile* stored, bool shown,
                            const Host& host);
    Place add_layer_tail(const uint8_t* bytes, uint32_t size);
    Place add_hidden_tail(const uint8_t* bytes, uint32_t size, const Host& host);
    uint32_t new_group();
    SegmentSink* sink() const { return sink_.get(); }
    singularity::SegmentEnd end_segment(const Host& host);
    uint64_t take_stored(const SegmentFile& file, const Host& host);
    void append(Packer& to, const uint8_t* bytes, uint32_t size);
    void end_group(const Host& host);
    void end_hidden_group(const Host& host);
    void end_stored_group(const Host& host);
    uint64_t add_file(uint64_t size) {
        files_.emplace_back().size = size;
        return files_.size() - 1;
    }

    const SquashfsOptions options_;
    CompressorPtr compressor_;
    OutputFile file_;
    const bool has_options_;
    WorkQueue queue_;
    // The segment that is made of the open layer, written by the pipeline's ordered stage.
    std::unique_ptr<SegmentSink> sink_;
    std::deque<SegmentFile> segment_files_;
    Pipeline pipeline_;
    const std::string family_, layer_family_;
    std::deque<FileData> files_;  // by content id; references stay valid
    std::unordered_map<ContentKey, Tail, ContentKeyHash> tails_;
    uint8_t* current_ = nullptr;  // block being filled
    Packer loose_;                // of all that is outside of layers
    std::vector<Held> held_;
    uint64_t held_bytes_ = 0, adopted_bytes_ = 0;
    bool raw_ = false;  // what is stored now is not compressed
    std::map<FileId, Foreign> foreign_;
    std::vector<sg_stored_block> blocks_;

    // The open layer. Where its runs and groups end follows from all of its files, shown or not.
    bool in_layer_ = false;
    uint64_t run_ = 0;        // bytes of files since the run began
    uint64_t room_left_ = 0;  // in the group, as if all tails were in it
    uint32_t number_ = 0;     // of the next file
    std::unordered_map<ContentKey, Tail, ContentKeyHash> layer_tails_;
    Packer group_;
    // Its segment, when one is made.
    uint64_t shown_bytes_ = 0, kept_bytes_ = 0;  // of files that the image shows; of others that the segment keeps
    std::unordered_map<ContentKey, Place, ContentKeyHash> segment_tails_;
    std::vector<uint32_t> unpacked_;  // by group of the segment
    uint32_t group_in_segment_ = 0;
    Packer hidden_;  // a group of what the image does not show
    // Where it comes from, when it is a segment.
    StoredSegment* stored_ = nullptr;
    std::vector<Piece> pieces_;  // of the group
    std::unordered_map<uint64_t, Tail> stored_tails_;

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
            const uint64_t count =
                std::min<uint64_t>(left / block, UINT32_MAX - 1 - std::min<uint64_t>(open.blocks, UINT32_MAX - 1));
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
    if (loose_.buffer)
        pipeline_.put_fragment(loose_.number, std::exchange(loose_.buffer, nullptr), loose_.fill, raw_, host);
}

// Into a fragment block that has room; an empty one may take the buffer that the bytes are in.
void SquashfsWriter::Impl::append(Packer& to, const uint8_t* bytes, uint32_t size) {
    if (to.buffer) {
        std::memcpy(to.buffer + to.fill, bytes, size);
        to.fill += size;
        return;
    }
    if (bytes == current_) {
        to.buffer = std::exchange(current_, nullptr);
    } else {
        to.buffer = pipeline_.buffer();
        std::memcpy(to.buffer, bytes, size);
    }
    to.fill = size;
}

SquashfsWriter::Impl::Tail SquashfsWriter::Impl::add_tail(const uint8_t* bytes, uint32_t size, const Host& host) {
    if (loose_.buffer && loose_.fill + size > options_.block_size) end_fragment(host);
    if (!loose_.buffer) {
        loose_.number = pipeline_.reserve_fragment();
        loose_.fill = 0;
    }
    const Tail tail{loose_.number, loose_.fill, SG_NO_CONTENT};
    append(loose_, bytes, size);
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
        pipeline_.end_file(&files_[id], host);
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
    if (open.blocks > 0) pipeline_.end_file(&files_[id], host);
    if (found == tails_.end()) found = tails_.emplace(key, add_tail(tail, size, host)).first;
    if (open.blocks == 0) found->second.whole = id;
    files_[id].fragment = found->second.fragment;
    files_[id].offset = found->second.offset;
    return id;
}

uint64_t SquashfsWriter::Impl::content(const char* hint, uint64_t size, Stream& data, const Host& host) {
    begin_work();
    const uint64_t id = in_layer_ ? layer_content(hint, size, data, true, host) : hot_content(hint, size, data, host);
    broken_ = false;
    return id;
}

// Outside of the layer's blocks: kept until the end when it is hot and there is room.
uint64_t SquashfsWriter::Impl::hot_content(const char* hint, uint64_t size, Stream& data, const Host& host) {
    Content content(hint, size, data);
    const Heat heat = size > 0 && size <= std::min(largest_hot_file, most_hot_bytes - held_bytes_)
                          ? heat_of(hint ? hint : "")
                          : Heat::none;
    if (heat != Heat::none) return hold(heat, size, content, host);
    pipeline_.route({});
    return loose_content(size, content, host);
}

uint64_t SquashfsWriter::Impl::loose_content(uint64_t size, Content& content, const Host& host) {
    return take_all(size, content, host,
                    [&](Open& open, const uint8_t* tail) { return end_content(open, tail, host); });
}

// A whole file; `end` gets its last, partial block.
template <class End>
uint64_t SquashfsWriter::Impl::take_all(uint64_t size, Content& content, const Host& host, const End& end) {
    Open open;
    uint64_t id = SG_NO_CONTENT;
    bool ended = false;
    for (;;) {
        const singularity::Slice slice = content.next(host);
        if (slice.size() == 0) break;
        open.total += slice.size();
        if (slice.size() == size && size < options_.block_size && !slice.is_hole()) {
            // A small file in one piece, the most frequent case: no block buffer between.
            open.fill = static_cast<uint32_t>(size);
            open.only_holes = false;
            id = end(open, slice.data());
            ended = true;
            continue;
        }
        take(open, slice, host);
    }
    return ended ? id : end(open, current_);
}

uint64_t SquashfsWriter::Impl::hold(Heat heat, uint64_t size, Content& data, const Host& host) {
    held_.push_back({add_file(size), heat, false, data.all(host)});
    held_bytes_ += size;
    return held_.back().id;
}

// The hottest files raw, as far as the image allows, one behind another; the others before them.
void SquashfsWriter::Impl::store_held(const Host& host) {
    pipeline_.route({});
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

// ---- Layers -----------------------------------------------------------------------------------------------

void SquashfsWriter::Impl::begin_layer(int segment) {
    if (in_layer_) throw Error(Code::internal, "a layer is open already");
    begin_work();
    const Host nobody;
    in_layer_ = true;
    run_ = 0;
    room_left_ = 0;
    number_ = 0;
    shown_bytes_ = kept_bytes_ = 0;
    unpacked_.clear();
    if (segment >= 0) sink_ = std::make_unique<SegmentSink>(segment);
    pipeline_.route({true, nullptr, true});
    pipeline_.begin_layer(nobody);
    pipeline_.align(nobody);
    broken_ = false;
}

void SquashfsWriter::Impl::enter(uint64_t size, const Host& host) {
    const auto tail = static_cast<uint32_t>(size % options_.block_size);
    if (tail > room_left_) {
        stored_ ? end_stored_group(host) : end_group(host);
        room_left_ = options_.block_size;
    }
    room_left_ -= tail;
    if (run_ >= run_bytes) {
        pipeline_.route({true, nullptr, true});
        pipeline_.align(host);
        run_ = 0;
    }
    run_ += std::min(size, run_bytes);
}

namespace {

// Bytes that live elsewhere, as one slice.
class Borrowed final : public Stream {
public:
    explicit Borrowed(std::span<const uint8_t> bytes) : bytes_(bytes) {}
    singularity::Slice next() override {
        const auto now = std::exchange(bytes_, {});
        return singularity::Slice::borrowed(now.data(), now.size());
    }

private:
    std::span<const uint8_t> bytes_;
};

}  // namespace

uint64_t SquashfsWriter::Impl::layer_content(const char* path, uint64_t size, Stream& data, bool shown,
                                             const Host& host) {
    if (size == SG_SIZE_UNKNOWN || size == 0) throw Error(Code::internal, "a layer's files have a size");
    SegmentFile* stored = nullptr;
    const uint32_t number = number_++;
    if (sink_) {
        stored = &segment_files_.emplace_back();
        stored->size = size;
        stored->same = number;
    }
    if (shown) shown_bytes_ += size;
    if (is_hot(path, size)) {
        if (!sink_) return shown ? hot_content(path, size, data, host) : SG_NO_CONTENT;
        stored->hot = true;
        Content whole(path, size, data);
        const std::vector<uint8_t> bytes = whole.all(host);
        Borrowed once(bytes), again(bytes);
        // Where the image will have it is not known yet.
        pipeline_.route({false, sink(), true});
        Content content(path, size, once);
        take_all(size, content, host, [&](Open& open, const uint8_t* tail) {
            return end_layer_file(open, tail, number, stored, false, host);
        });
        return shown ? hot_content(path, size, again, host) : SG_NO_CONTENT;
    }
    enter(size, host);
    Content content(path, size, data);
    pipeline_.route({shown, sink(), true});
    return take_all(size, content, host, [&](Open& open, const uint8_t* tail) {
        return end_layer_file(open, tail, number, stored, shown, host);
    });
}

uint64_t SquashfsWriter::Impl::end_layer_file(Open& open, const uint8_t* tail, uint32_t number, SegmentFile* stored,
                                              bool shown, const Host& host) {
    if (shown) stats_.bytes_in += open.total;
    if (open.fill > 0 && (open.only_holes || all_zeros(tail, open.fill))) {
        ++open.blocks;
        open.holes += open.fill;
        pipeline_.skip(1);
        open.fill = 0;
    }
    const ContentKey key = open.fill > 0 ? pipeline_.hash()({tail, open.fill}) : ContentKey{};
    const auto known = open.fill > 0 ? layer_tails_.find(key) : layer_tails_.end();
    const bool is_known = known != layer_tails_.end();
    uint64_t id = SG_NO_CONTENT;
    if (shown && is_known && open.blocks == 0 && known->second.whole != SG_NO_CONTENT) {
        ++stats_.files_shared;
        id = known->second.whole;
    } else if (shown) {
        id = add_file(open.total);
        files_[id].holes = open.holes;
    }
    if (stored) stored->holes = open.holes;
    if (open.blocks > 0) pipeline_.end_file(shown ? &files_[id] : nullptr, host, stored, number);
    if (open.fill == 0) return id;

    Place in_image{0, 0};
    if (shown && !is_known) in_image = add_layer_tail(tail, open.fill);
    if (stored) {
        const auto [at, fresh] = segment_tails_.try_emplace(key, Place{});
        if (fresh)
            at->second = shown ? Place{group_in_segment_, in_image.offset} : add_hidden_tail(tail, open.fill, host);
        stored->group = at->second.group, stored->offset = at->second.offset;
    }
    if (!shown) return id;
    Tail& place = is_known
                      ? known->second
                      : layer_tails_.emplace(key, Tail{in_image.group, in_image.offset, SG_NO_CONTENT}).first->second;
    if (open.blocks == 0 && place.whole == SG_NO_CONTENT) place.whole = id;
    files_[id].fragment = place.fragment;
    files_[id].offset = place.offset;
    return id;
}

// A tail that the image has lies in the image's block, for the segment too; others share blocks of the segment's own.
SquashfsWriter::Impl::Place SquashfsWriter::Impl::add_layer_tail(const uint8_t* bytes, uint32_t size) {
    const bool is_first = !group_.buffer;
    Place place{is_first ? pipeline_.reserve_fragment() : group_.number, is_first ? 0 : group_.fill};
    if (is_first) {
        group_.number = place.group;
        group_in_segment_ = new_group();
    }
    append(group_, bytes, size);
    return place;
}

SquashfsWriter::Impl::Place SquashfsWriter::Impl::add_hidden_tail(const uint8_t* bytes, uint32_t size,
                                                                  const Host& host) {
    if (hidden_.buffer && hidden_.fill + size > options_.block_size) end_hidden_group(host);
    if (!hidden_.buffer) {
        hidden_.number = new_group();
        hidden_.fill = 0;
    }
    const Place place{hidden_.number, hidden_.fill};
    append(hidden_, bytes, size);
    return place;
}

uint32_t SquashfsWriter::Impl::new_group() {
    unpacked_.push_back(0);
    return static_cast<uint32_t>(unpacked_.size() - 1);
}

void SquashfsWriter::Impl::end_group(const Host& host) {
    if (!group_.buffer) return;
    unpacked_[group_in_segment_] = group_.fill;
    pipeline_.route({true, sink(), true});
    pipeline_.put_fragment(group_.number, std::exchange(group_.buffer, nullptr), group_.fill, false, host,
                           group_in_segment_);
}

void SquashfsWriter::Impl::end_hidden_group(const Host& host) {
    if (!hidden_.buffer) return;
    if (!sink()) return pipeline_.give_back(std::exchange(hidden_.buffer, nullptr));
    unpacked_[hidden_.number] = hidden_.fill;
    pipeline_.route({false, sink(), true});
    pipeline_.put_fragment(0, std::exchange(hidden_.buffer, nullptr), hidden_.fill, false, host, hidden_.number);
}

void SquashfsWriter::Impl::hidden(const char* path, uint64_t size, Stream* data, const Host& host) {
    if (!in_layer_ || stored_) throw Error(Code::internal, "no layer is open");
    begin_work();
    if (data && sink_ && kept_bytes_ + size <= least_room + shown_bytes_ / part_of_shown) {
        kept_bytes_ += size;
        layer_content(path, size, *data, false, host);
    } else {
        const bool hot = is_hot(path, size);
        if (sink_) {
            SegmentFile& file = segment_files_.emplace_back();
            file.size = size;
            file.same = number_;
            file.hot = hot;
            file.missing = true;
        }
        ++number_;
        if (!hot) enter(size, host);
    }
    broken_ = false;
}

singularity::SegmentEnd SquashfsWriter::Impl::end_layer(const Host& host) {
    if (!in_layer_) throw Error(Code::internal, "no layer is open");
    begin_work();
    singularity::SegmentEnd out;
    if (stored_) {
        end_stored_group(host);
        if (number_ != stored_->index().files.size())
            throw Error(Code::corrupt, "a segment of the cache has more files than its layer");
        stored_ = nullptr;
        stored_tails_.clear();
    } else {
        end_group(host);
        end_hidden_group(host);
        if (sink_) out = end_segment(host);
    }
    in_layer_ = false;
    layer_tails_.clear();
    pipeline_.route({});
    broken_ = false;
    return out;
}

singularity::SegmentEnd SquashfsWriter::Impl::end_segment(const Host& host) {
    singularity::SegmentEnd out;
    const std::exception_ptr failure = pipeline_.wait_idle(host);
    try {
        if (failure) std::rethrow_exception(failure);
        SegmentIndex index;
        index.data_size = out.data_size = sink_->position();
        index.block_size = options_.block_size;
        index.compressor = static_cast<uint16_t>(options_.compressor);
        index.files.assign(segment_files_.begin(), segment_files_.end());
        index.sizes = std::move(sink_->sizes());
        index.groups = std::move(sink_->groups());
        for (size_t i = 0; i < index.groups.size(); ++i) index.groups[i].unpacked = unpacked_[i];
        const auto bytes = encode(index);
        sink_->append(bytes.data(), bytes.size());
        sink_->flush();
        out.size = sink_->position();
    } catch (const Error& e) {
        out = {};
        out.why = e.message();
    }
    sink_.reset();
    segment_files_.clear();
    segment_tails_.clear();
    unpacked_.clear();
    return out;
}

void SquashfsWriter::Impl::begin_stored(StoredSegment& segment) {
    if (segment.index().block_size != options_.block_size ||
        segment.index().compressor != static_cast<uint16_t>(options_.compressor))
        throw Error(Code::corrupt, "a segment of the cache is of another kind than its name says");
    begin_layer(-1);
    stored_ = &segment;
}

uint64_t SquashfsWriter::Impl::stored(const char* path, bool hidden, const Host& host) {
    if (!stored_) throw Error(Code::internal, "no stored layer is open");
    begin_work();
    host.poll();
    const SegmentIndex& index = stored_->index();
    if (number_ >= index.files.size())
        throw Error(Code::corrupt, "a segment of the cache has fewer files than its layer");
    const SegmentFile& f = index.files[number_];
    if (f.hot != is_hot(path, f.size)) throw Error(Code::corrupt, "a segment of the cache is not of this layer");
    if (f.missing && !hidden) throw Error(Code::corrupt, "a segment of the cache lacks a file");
    const uint32_t number = number_++;
    uint64_t id = SG_NO_CONTENT;
    if (f.hot) {
        if (!hidden) {
            const auto bytes = stored_->read(number);
            id = hot_content(path, f.size, *bytes, host);
        }
    } else {
        enter(f.size, host);
        if (!hidden) id = take_stored(f, host);
    }
    broken_ = false;
    return id;
}

uint64_t SquashfsWriter::Impl::take_stored(const SegmentFile& f, const Host& host) {
    const SegmentIndex& index = stored_->index();
    stats_.bytes_in += f.size;
    const bool has_tail = f.group != UINT32_MAX;
    const uint64_t key = uint64_t{f.group} << 32 | f.offset;
    const auto known = has_tail ? stored_tails_.find(key) : stored_tails_.end();
    const bool is_known = known != stored_tails_.end();
    if (is_known && f.blocks == 0 && known->second.whole != SG_NO_CONTENT) {
        ++stats_.files_shared;
        return known->second.whole;
    }
    const uint64_t id = add_file(f.size);
    files_[id].holes = f.holes;
    pipeline_.route({true, nullptr, true});
    if (f.blocks > 0) {
        const auto first = index.sizes.begin() + static_cast<ptrdiff_t>(f.first_size);
        std::vector<uint32_t> sizes(first, first + f.blocks);
        uint64_t bytes = 0;
        for (const uint32_t s : sizes) bytes += s & ~stored_raw;
        pipeline_.take_file(files_[id], stored_->source(f.in_image), f.start, bytes, std::move(sizes), host, f.same);
    }
    if (!has_tail) return id;
    Tail place{0, 0, SG_NO_CONTENT};
    if (is_known) {
        place = known->second;
    } else {
        const auto size = static_cast<uint32_t>(f.size % options_.block_size);
        if (pieces_.empty()) {
            group_.number = pipeline_.reserve_fragment();
            group_.fill = 0;
        }
        place = {group_.number, group_.fill, SG_NO_CONTENT};
        pieces_.push_back({f.group, f.offset, size});
        group_.fill += size;
    }
    if (f.blocks == 0 && place.whole == SG_NO_CONTENT) place.whole = id;
    stored_tails_[key] = place;
    files_[id].fragment = place.fragment;
    files_[id].offset = place.offset;
    return id;
}

// Copied when the image shows all that is in the segment's block, else packed anew.
void SquashfsWriter::Impl::end_stored_group(const Host& host) {
    if (pieces_.empty()) return;
    const auto& groups = stored_->index().groups;
    const Piece& first = pieces_.front();
    uint32_t at = 0;
    const bool whole = std::all_of(pieces_.begin(), pieces_.end(), [&](const Piece& p) {
        return p.group == first.group && p.offset == std::exchange(at, at + p.size);
    });
    pipeline_.route({true, nullptr, true});
    if (whole && at == groups[first.group].unpacked) {
        pipeline_.take_fragment(group_.number, stored_->source(groups[first.group].in_image), groups[first.group].start,
                                groups[first.group].size, host);
        pieces_.clear();
        return;
    }
    group_.buffer = pipeline_.buffer();
    std::vector<uint8_t> unpacked(options_.block_size);
    uint32_t have = UINT32_MAX;
    at = 0;
    for (const Piece& p : pieces_) {
        if (p.group != have) stored_->unpack_group(p.group, unpacked.data());
        have = p.group;
        std::memcpy(group_.buffer + at, unpacked.data() + p.offset, p.size);
        at += p.size;
    }
    pieces_.clear();
    pipeline_.put_fragment(group_.number, std::exchange(group_.buffer, nullptr), at, false, host);
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
            return stored->blocks(from.handle(), node, blocks_.data(), blocks_.size(), &count, &shared, &shared_offset,
                                  e);
        });
    };
    if (blocks_.empty()) blocks_.resize(64);
    ask();
    const bool has_tail = shared.size != 0;
    const uint64_t tail = attr.size % block;
    if (count != (has_tail ? attr.size / block : (attr.size + block - 1) / block)) return SG_NO_CONTENT;
    if (has_tail && (tail == 0 || shared_offset > block || tail > block - shared_offset || shared.size > block))
        return SG_NO_CONTENT;
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
    const ContentKey key =
        pipeline_.hash()({reinterpret_cast<const uint8_t*>(identity.data()), identity.size() * sizeof(uint64_t)});
    if (const auto known = source.contents.find(key); known != source.contents.end()) {
        ++stats_.files_shared;
        return known->second;
    }

    begin_work();
    const uint64_t id = add_file(attr.size);
    FileData& file = files_[id];
    file.holes = holes;
    if (count > 0) pipeline_.adopt_file(file, source.source, start, bytes, sizes);
    if (has_tail) {
        const auto [at, is_new] = source.fragments.try_emplace(shared.offset, 0);
        if (is_new) {
            at->second = pipeline_.reserve_fragment();
            pipeline_.adopt_fragment(at->second, source.source, shared.offset,
                                     shared.size | (shared.raw ? stored_raw : 0));
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
    BackgroundCopy copying(file_.fd(), pipeline_.adopted());
    const uint64_t used =
        write_tables(file_, *compressor_, {files_, pipeline_, options_, has_options_}, tree, host, stats_);
    const std::vector<uint8_t> padding(static_cast<size_t>((page - used % page) % page));
    file_.append(padding.data(), padding.size());
    copying.wait(host);
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
const std::string& SquashfsWriter::family() const { return impl_->layer_family(); }
void SquashfsWriter::begin_layer(int segment) { impl_->begin_layer(segment); }
void SquashfsWriter::hidden(const char* path, uint64_t size, Stream* data, const Host& host) {
    impl_->hidden(path, size, data, host);
}
singularity::SegmentEnd SquashfsWriter::end_layer(const Host& host) { return impl_->end_layer(host); }
void SquashfsWriter::begin_stored(singularity::Segment& segment) {
    auto* stored = dynamic_cast<StoredSegment*>(&segment);
    if (!stored) throw Error(Code::internal, "this segment is another format's");
    impl_->begin_stored(*stored);
}
uint64_t SquashfsWriter::stored(const char* path, bool hidden, const Host& host) {
    return impl_->stored(path, hidden, host);
}
uint64_t SquashfsWriter::finish(const ForeignRoot& tree, const Host& host) { return impl_->finish(tree, host); }
WriterStats SquashfsWriter::stats() const { return impl_->stats(); }

}  // namespace squashfs
