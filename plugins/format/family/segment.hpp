// SPDX-License-Identifier: BSD-3-Clause
/*
 * segment.hpp: where the stored blocks of one layer's files are, so that every image that has the layer can take them.
 *
 * What the image shows that the segment was made with stays in that image's file. The segment's own file has the blocks
 * of what it does not show, as far as there is room, and of hot files, then an index. Places are relative to the start
 * of the one file or the other. A layer's files are numbered as they stand in it: regular files that have bytes,
 * whether an image shows them or not.
 */
#pragma once
#include <deque>
#include <family/adopted.hpp>
#include <family/content_hash.hpp>
#include <family/decompressor.hpp>
#include <memory>
#include <singularity/layers.hpp>
#include <unordered_map>
#include <vector>

namespace squashfs {

inline constexpr uint32_t segment_version = 2;  // changes whenever the rules of layers in an image do
inline constexpr uint64_t run_alignment = 4096;
// After so many bytes of a layer's files, shown or not, its blocks go on at a multiple of run_alignment: where an image
// leaves a file out, the places after it fit those of the segment again.
inline constexpr uint64_t run_bytes = uint64_t{8} << 20;

struct SegmentFile {
    uint64_t size = 0;
    uint64_t start = 0;       // of its blocks
    uint64_t holes = 0;       // bytes of blocks of zeros
    uint64_t first_size = 0;  // of its blocks' sizes in the list of all
    uint32_t blocks = 0;
    uint32_t same = 0;            // the number of the first file with these blocks; without blocks its own
    uint32_t group = UINT32_MAX;  // where its tail lies; none
    uint32_t offset = 0;          // there
    bool hot = false;             // an image keeps it apart from its layer
    bool in_image = false;        // its blocks are
    bool missing = false;         // its bytes are nowhere
};

// Tails that share one stored block.
struct SegmentGroup {
    uint64_t start = 0;
    uint32_t size = 0;  // with the bit of a block that is stored raw
    uint32_t unpacked = 0;
    bool in_image = false;
};

struct SegmentIndex {
    std::vector<SegmentFile> files;
    std::vector<uint32_t> sizes;  // of blocks, as in an inode
    std::vector<SegmentGroup> groups;
    uint64_t data_size = 0;  // bytes before the index, of the segment's own
    uint32_t block_size = 0;
    uint16_t compressor = 0;
};

// As bytes, and back. What was read is checked: each place lies in the data, each count fits. Throws Code::corrupt.
std::vector<uint8_t> encode(const SegmentIndex& index);
SegmentIndex decode_index(std::span<const uint8_t> bytes);

// An open segment. Any thread.
class StoredSegment final : public singularity::Segment {
public:
    // The segment is the first `size` bytes of `fd`; the index begins at `data_size`. `image`: that it was made with;
    // -1: a segment that needs it is refused. Both are duplicated.
    StoredSegment(int fd, uint64_t data_size, uint64_t size, int image = -1);
    const SegmentIndex& index() const { return index_; }
    // What places in the image, or in the segment's own file, refer to. The image's is null when there is none.
    const std::shared_ptr<Source>& source(bool in_image) const { return in_image ? image_ : own_; }

    uint64_t count() const override { return index_.files.size(); }
    uint64_t size(uint64_t number) const override;
    std::unique_ptr<singularity::Stream> read(uint64_t number) override;
    bool has(uint64_t number) const override {
        return number < index_.files.size() && !index_.files[static_cast<size_t>(number)].missing;
    }

    // The tails of one group, decompressed, `unpacked` bytes to `out`. Throws Code::corrupt.
    void unpack_group(uint32_t number, uint8_t* out);
    // The bytes of one block of a file (its last may be short).
    void unpack(bool in_image, uint64_t start, uint32_t size, std::span<uint8_t> out);

private:
    void read_exactly(bool in_image, uint64_t start, uint8_t* out, size_t size) const;

    const std::shared_ptr<Source> own_, image_;
    SegmentIndex index_;
    DecompressorPool pool_;
};

// What the ordered stage of a pipeline writes into a segment. One thread at a time.
class SegmentSink {
public:
    explicit SegmentSink(int fd) : fd_(fd) {}

    static constexpr uint64_t here = UINT64_MAX;  // in place of a place in the image

    // `bytes` null: the image has them.
    void add_block(const uint8_t* bytes, uint32_t size, uint32_t holes_before, const ContentKey& key,
                   const ContentHash& hash);
    // Ends the blocks of file `number`, which must be the last of `files`. `in_image`: where the image has them.
    void end_file(SegmentFile& file, uint32_t number, uint32_t holes_before, const ContentHash& hash,
                  uint64_t in_image);
    void add_group(uint32_t number, const uint8_t* bytes, uint32_t size, uint64_t in_image);
    void append(const uint8_t* bytes, size_t size);
    void flush();

    uint64_t position() const { return position_; }
    std::vector<uint32_t>& sizes() { return all_sizes_; }
    std::vector<SegmentGroup>& groups() { return groups_; }

private:
    void store(const uint8_t* bytes, size_t size);

    const int fd_;
    uint64_t position_ = 0;
    std::vector<uint8_t> held_;  // the last bytes before position_, not written yet
    std::vector<uint32_t> all_sizes_, current_;
    uint64_t file_start_ = 0;
    bool in_file_ = false;
    ContentKey sequence_;
    struct Known {
        uint64_t start, first_size;
        uint32_t number;
        bool in_image;
    };
    std::unordered_map<ContentKey, Known, ContentKeyHash> files_;
    std::vector<SegmentGroup> groups_;
};

}  // namespace squashfs
