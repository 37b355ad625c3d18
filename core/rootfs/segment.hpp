// A layer that was converted before: its entries, and its files as a format stored them (layers.h), in one file.
//
//     what the format wrote: stored files, then its index | entries of the layer's archive | the image | trailer
//
// A format that can leaves in the image what the image has, and few bytes are in the segment. `the image` says which
// file that is, as whoever keeps the segment writes it. A SHA-256 in the trailer covers all of such a segment, and of
// one that has all files itself all but those: they are many bytes, and whoever keeps the file knows whether it is
// still the one that was written (store/image_cache.hpp).
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/unique_fd.hpp"
#include "rootfs/layer_entries.hpp"
#include "rootfs/layer_tables.hpp"

namespace sg {

// An open segment. Its entries may be read several times; one thread.
class StoredLayer {
public:
    // Opens the image that the text names, as `NewLayer::refer_to` got it; what it throws comes out.
    using FindImage = std::function<UniqueFd(const std::string& image)>;

    // Throws Code::corrupt for a file that is none, or is damaged or cut off.
    StoredLayer(UniqueFd fd, const LayerTables& tables, const FindImage& find_image = {});
    ~StoredLayer();
    StoredLayer(const StoredLayer&) = delete;
    StoredLayer& operator=(const StoredLayer&) = delete;

    sg_segment* handle() const { return segment_; }
    // Whether it has the bytes of file `number`; of all of them.
    bool has(uint64_t number) const { return !tables_.in_image || tables_.in_image->has(segment_, number) != 0; }
    bool complete() const { return complete_; }
    // Reads what is kept. `data` gives a file's bytes, decompressed. Lives no longer than this.
    std::unique_ptr<LayerEntries> entries() const;

private:
    class Entries;
    UniqueFd fd_;
    const LayerTables tables_;
    sg_segment* segment_ = nullptr;
    std::string entries_;
    uint64_t count_ = 0;
    bool complete_ = true;
};

// A segment that is being made. One thread.
class NewLayer {
public:
    // `fd`: an empty file, open for reading and writing, that outlives this.
    explicit NewLayer(int fd) : fd_(fd) {}
    int fd() const { return fd_; }
    void add(const TarEntry& entry, const Tree::Xattrs& xattrs);
    // The format has written its part (layers.h, `end`) and the layer's digests were right: the file is whole
    // afterwards, but not synced. Throws no_space, io.
    void finish(uint64_t data_size, uint64_t size);
    // The finished image that it refers to, in the words of whoever keeps it. After `finish`; throws as that.
    void refer_to(const std::string& image);
    // There is none; `why` for the log.
    void give_up(std::string why) { why_ = std::move(why); }
    bool whole() const { return whole_; }
    const std::string& why_not() const { return why_; }

private:
    const int fd_;
    std::string entries_, why_;
    uint64_t count_ = 0;
    uint64_t data_size_ = 0, format_size_ = 0, entries_size_ = 0;
    bool whole_ = false;
    void write_end(const std::string& image);
};

}  // namespace sg
