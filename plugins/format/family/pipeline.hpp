// SPDX-License-Identifier: BSD-3-Clause
/*
 * pipeline.hpp: blocks in, compressed blocks on disk in the order they came, by several threads.
 *
 * One thread feeds (put_*, skip, end_file, take_*); workers compress; whoever finishes the oldest block writes it
 * and those behind it, so order and bytes never depend on the number of threads. Writes are gathered to
 * 2 MiB. Files whose stored blocks equal those of an earlier file are dropped again and share its blocks.
 * At most `backlog` blocks are in flight; the feeding thread compresses too when there is no room.
 *
 * Blocks of a layer may go into the layer's segment alone, or into the image, and the segment gets their place.
 * Positions are relative to the first byte of block data. Errors of workers and of writing the image are thrown at the
 * feeding thread's next call; one of a segment is kept.
 */
#pragma once
#include <condition_variable>
#include <deque>
#include <exception>
#include <family/adopted.hpp>
#include <family/buffer_pool.hpp>
#include <family/compressor.hpp>
#include <family/content_hash.hpp>
#include <family/output_file.hpp>
#include <family/segment.hpp>
#include <family/squashfs_writer.hpp>
#include <family/work_queue.hpp>
#include <mutex>
#include <unordered_map>

namespace squashfs {

inline constexpr uint32_t no_fragment = UINT32_MAX;
inline constexpr uint32_t stored_raw = 1u << 24;  // of a block's size: it is not compressed

// Where the bytes of one file are. Fields of blocks are set by the time finish() returns.
struct FileData {
    uint64_t size = 0;
    uint64_t start = 0;               // relative
    const uint32_t* sizes = nullptr;  // `blocks` sizes as in an inode, 0 = a block of zeros
    uint32_t blocks = 0;
    uint32_t fragment = no_fragment;
    uint32_t offset = 0;  // in the fragment block
    uint64_t holes = 0;   // bytes of blocks of zeros
};

struct Fragment {
    uint64_t start = 0;  // relative
    uint32_t size = 0;
};

// Where the items that follow go. Equal files are found within one scope: a layer, or all that is outside of layers.
struct Route {
    bool image = true;
    SegmentSink* segment = nullptr;  // must live until the pipeline was idle
    bool in_layer = false;
};

class Pipeline {
public:
    // Data starts at file.end(). `file` and `queue` must outlive the pipeline.
    Pipeline(OutputFile& file, WorkQueue& queue, const sqfs_compressor_t& compressor, uint32_t block_size);
    ~Pipeline();
    // Ends what is under way; nothing of what was put is touched any more. Nothing can be put afterwards.
    void stop();

    // A buffer of block_size bytes for put_block or put_fragment, which take it; else give it back.
    uint8_t* buffer() { return pool_.get(); }
    void give_back(uint8_t* buffer) { pool_.put(buffer); }

    void route(const Route& route) { route_ = route; }
    // Another layer begins: its files are compared with each other only.
    void begin_layer(const singularity::Host& host);
    // The next byte in the image comes at a multiple of run_alignment of its file.
    void align(const singularity::Host& host);

    // The next block of the current file; `raw`: stored as it is.
    void put_block(uint8_t* buffer, uint32_t size, bool raw, const singularity::Host& host);
    // The current file's next `count` blocks are zeros.
    void skip(uint32_t count) { holes_ += count; }
    // The current file has no more blocks; `file` gets its start and sizes. Needed when it had blocks or holes.
    // `stored`: what a segment says of it, and its number there.
    void end_file(FileData* file, const singularity::Host& host, SegmentFile* stored = nullptr,
                  uint32_t stored_number = 0);

    // A full fragment block; its number is what reserve_fragment gave. `group`: its number in the segment.
    uint32_t reserve_fragment();
    void put_fragment(uint32_t number, uint8_t* buffer, uint32_t size, bool raw, const singularity::Host& host,
                      uint32_t group = 0);

    // Stored bytes of a segment: a file's blocks, which lie one behind another, or one fragment block.
    // `same`: a number that files of equal blocks have in common in this layer.
    void take_file(FileData& file, std::shared_ptr<Source> source, uint64_t offset, uint64_t size,
                   std::vector<uint32_t> sizes, const singularity::Host& host, uint64_t same = UINT64_MAX);
    void take_fragment(uint32_t number, std::shared_ptr<Source> source, uint64_t offset, uint32_t size,
                       const singularity::Host& host);

    // Stored bytes of another image, likewise; they come to lie behind all that is put.
    void adopt_file(FileData& file, const std::shared_ptr<Source>& source, uint64_t offset, uint64_t size,
                    const std::vector<uint32_t>& sizes);
    void adopt_fragment(uint32_t number, const std::shared_ptr<Source>& source, uint64_t offset, uint32_t size);

    // Waits until all that was put is stored. Gives the first failure to write to a segment since the last call.
    std::exception_ptr wait_idle(const singularity::Host& host);
    // Waits for everything; then the file's end is the end of the data. What was adopted has its place, but is still to
    // be copied: `adopted`.
    void finish(const singularity::Host& host);
    const std::vector<Run>& adopted() const { return adopted_.runs(); }

    uint64_t data_start() const { return data_start_; }
    const std::vector<Fragment>& fragments() const { return fragments_; }  // after finish()
    const ContentHash& hash() const { return hash_; }
    void add_stats(WriterStats& stats) const;

private:
    enum class Kind { block, file_end, fragment, copied_file, copied_fragment, layer, align };
    struct Item {
        Pipeline* pipeline = nullptr;
        Kind kind = Kind::block;
        bool done = false;
        bool raw = false;          // not to be compressed
        uint8_t* bytes = nullptr;  // owned: raw, then what is to be stored
        uint32_t size = 0;         // raw, then with the stored_raw bit
        uint32_t holes_before = 0;
        uint32_t number = 0;  // of the fragment
        uint32_t group = 0;   // and of the segment's
        FileData* file = nullptr;
        SegmentFile* stored = nullptr;
        Route route;
        uint64_t same = UINT64_MAX;
        ContentKey key;
        std::shared_ptr<Source> source;
        uint64_t source_offset = 0, source_size = 0;
        std::vector<uint32_t> sizes;
    };

    // Block sizes of files, many vectors in few.
    class SizeStore {
    public:
        const uint32_t* keep(const std::vector<uint32_t>& sizes);

    private:
        std::deque<std::vector<uint32_t>> chunks_, long_;
        size_t used_ = 0;
    };

    Item& next_item(Kind kind, const singularity::Host& host);  // waits for room
    void submit(Item& item);                                    // to the workers
    void complete(Item& item);                                  // done: writes what can be written
    static void compress_job(void* item);
    void compress(Item& item);
    void rethrow();

    // Of the ordered stage: one thread at a time (draining_).
    void store(Item& item);
    void store_in_image(Item& item);
    void store_in_segment(Item& item);
    uint64_t place_in_file(uint64_t position) const { return file_.base() + data_start_ + position; }
    void store_aligned();
    void store_bytes(Item& item);
    void store_file_end(Item& item);
    void copy(Item& item);
    void flush_pending();
    void flush_copy();

    OutputFile& file_;
    WorkQueue& queue_;
    const uint32_t block_size_;
    const uint64_t data_start_;
    const size_t backlog_;
    BufferPool pool_;
    ContentHash hash_, sequence_hash_;
    Route route_;
    uint32_t holes_ = 0;
    uint32_t fragments_reserved_ = 0;

    std::mutex mutex_;
    std::condition_variable progress_;
    std::deque<Item> items_;  // in order; references stay valid
    std::vector<CompressorPtr> compressors_;
    CompressorPtr prototype_;
    bool draining_ = false;
    std::exception_ptr failure_;
    bool failed_ = false;  // of the ordered stage

    // Of the thread that feeds.
    struct Adoption {
        size_t piece;
        FileData* file;     // or
        uint32_t fragment;  // of `size` with the stored_raw bit
        uint32_t size;
    };
    AdoptedBlocks adopted_;
    std::vector<Adoption> adoptions_;
    SizeStore adopted_sizes_;
    uint64_t blocks_adopted_ = 0, bytes_adopted_ = 0;

    // Of the ordered stage.
    uint64_t position_ = 0;       // relative; where the next block goes
    std::vector<iovec> pending_;  // of pooled buffers
    std::vector<uint8_t*> pending_buffers_;
    uint64_t pending_start_ = 0, pending_bytes_ = 0;
    std::shared_ptr<Source> copy_source_;
    uint64_t copy_from_ = 0, copy_size_ = 0, copy_to_ = 0;
    std::vector<Fragment> fragments_;
    std::vector<uint32_t> sizes_;  // of the current file
    uint64_t file_start_ = 0, file_bytes_ = 0;
    bool in_file_ = false;
    ContentKey sequence_;
    using KnownFile = std::pair<uint64_t, const uint32_t*>;
    std::unordered_map<ContentKey, KnownFile, ContentKeyHash> files_, layer_files_;
    std::unordered_map<uint64_t, KnownFile> taken_;  // of this layer
    std::exception_ptr segment_failure_;             // guarded by mutex_
    SizeStore sizes_kept_;
    uint64_t blocks_compressed_ = 0, blocks_copied_ = 0, files_shared_ = 0, bytes_stored_ = 0;
};

}  // namespace squashfs
