// SPDX-License-Identifier: BSD-3-Clause
/*
 * segment.hpp: the stored blocks of one layer's files, all of them, so that every image that has the layer can take them.
 *
 * A segment is one file: blocks as in an image (each place a multiple of 4 KiB where an image has one too, so that a file
 * system can share them), hot files as they are, then an index. Places are relative to the file's start. A layer's files
 * are numbered as they stand in it: regular files that have bytes, whether an image shows them or not.
 */
#pragma once
#include <family/content_hash.hpp>
#include <family/decompressor.hpp>
#include <singularity/layers.hpp>

#include <deque>
#include <unordered_map>
#include <vector>

namespace squashfs {

inline constexpr uint32_t segment_version = 1;  // changes whenever the rules of layers in an image do
inline constexpr uint64_t run_alignment = 4096;
// After so many bytes of a layer's files, shown or not, its blocks go on at a multiple of run_alignment: where an image
// leaves a file out, the places after it fit those of the segment again.
inline constexpr uint64_t run_bytes = uint64_t{8} << 20;

struct SegmentFile {
    uint64_t size = 0;
    uint64_t start = 0;       // of its blocks; of a hot file's bytes
    uint64_t holes = 0;       // bytes of blocks of zeros
    uint64_t first_size = 0;  // of its blocks' sizes in the list of all
    uint32_t blocks = 0;
    uint32_t same = 0;             // the number of the first file with these blocks; without blocks its own
    uint32_t group = UINT32_MAX;  // where its tail lies; none
    uint32_t offset = 0;          // there
    bool hot = false;             // stored as it is, without blocks
};

// Tails that share one stored block.
struct SegmentGroup {
    uint64_t start = 0;
    uint32_t size = 0;  // with the bit of a block that is stored raw
    uint32_t unpacked = 0;
};

struct SegmentIndex {
    std::vector<SegmentFile> files;
    std::vector<uint32_t> sizes;  // of blocks, as in an inode
    std::vector<SegmentGroup> groups;
    uint64_t data_size = 0;  // bytes before the index
    uint32_t block_size = 0;
    uint16_t compressor = 0;
};

// As bytes, and back. What was read is checked: each place lies in the data, each count fits. Throws Code::corrupt.
std::vector<uint8_t> encode(const SegmentIndex& index);
SegmentIndex decode_index(std::span<const uint8_t> bytes);

// An open segment. Any thread.
class StoredSegment final : public singularity::Segment {
public:
    // The segment is the first `size` bytes of `fd`, which is duplicated; the index begins at `data_size`.
    StoredSegment(int fd, uint64_t data_size, uint64_t size);
    ~StoredSegment() override;
    const SegmentIndex& index() const { return index_; }
    int fd() const { return fd_; }

    uint64_t count() const override { return index_.files.size(); }
    uint64_t size(uint64_t number) const override;
    std::unique_ptr<singularity::Stream> read(uint64_t number) override;

    // The tails of one group, decompressed, `unpacked` bytes to `out`. Throws Code::corrupt.
    void unpack_group(uint32_t number, uint8_t* out);
    // The bytes of one block of a file (its last may be short).
    void unpack(uint64_t start, uint32_t size, std::span<uint8_t> out);
    void read_exactly(uint64_t start, uint8_t* out, size_t size) const;

private:
    int fd_;
    SegmentIndex index_;
    DecompressorPool pool_;
};

// What the ordered stage of a pipeline writes into a segment. One thread at a time.
class SegmentSink {
public:
    explicit SegmentSink(int fd) : fd_(fd) {}

    void align();
    void add_block(const uint8_t* bytes, uint32_t size, uint32_t holes_before, const ContentKey& key, const ContentHash& hash);
    // Ends the blocks of file `number`, which must be the last of `files`.
    void end_file(SegmentFile& file, uint32_t number, uint32_t holes_before, const ContentHash& hash);
    void add_group(uint32_t number, const uint8_t* bytes, uint32_t size);
    // Bytes outside of runs; gives their place.
    uint64_t append(const uint8_t* bytes, size_t size);
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
    };
    std::unordered_map<ContentKey, Known, ContentKeyHash> files_;
    std::vector<SegmentGroup> groups_;
};

}  // namespace squashfs
