// A layer that was converted before: its entries, and its files as a format stored them (layers.h), in one file.
//
//     what the format wrote: stored files, then its index | entries of the layer's archive | trailer
//
// Index, entries and trailer are covered by a SHA-256 in the trailer. The stored files are not: they are many bytes, and
// whoever keeps the file knows whether it is still the one that was written (store/image_cache.hpp).
#pragma once
#include <singularity/layers.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/unique_fd.hpp"
#include "rootfs/layer_entries.hpp"

namespace sg {

// An open segment. Its entries may be read several times; one thread.
class StoredLayer {
public:
    // Throws Code::corrupt for a file that is none, or is damaged or cut off.
    StoredLayer(UniqueFd fd, const sg_layers_v1& table);
    ~StoredLayer();
    StoredLayer(const StoredLayer&) = delete;
    StoredLayer& operator=(const StoredLayer&) = delete;

    sg_segment* handle() const { return segment_; }
    // Reads what is kept. `data` gives a file's bytes, decompressed. Lives no longer than this.
    std::unique_ptr<LayerEntries> entries() const;

private:
    class Entries;
    UniqueFd fd_;
    const sg_layers_v1& table_;
    sg_segment* segment_ = nullptr;
    std::string entries_;
    uint64_t count_ = 0;
};

// A segment that is being made. One thread.
class NewLayer {
public:
    // `fd`: an empty file, open for reading and writing, that outlives this.
    explicit NewLayer(int fd) : fd_(fd) {}
    int fd() const { return fd_; }
    void add(const TarEntry& entry, const Tree::Xattrs& xattrs);
    // The format has written its part (layers.h, `end`) and the layer's digests were right: the file is whole afterwards,
    // but not synced. Throws no_space, io.
    void finish(uint64_t data_size, uint64_t size);
    // There is none; `why` for the log.
    void give_up(std::string why) { why_ = std::move(why); }
    bool whole() const { return whole_; }
    const std::string& why_not() const { return why_; }

private:
    const int fd_;
    std::string entries_, why_;
    uint64_t count_ = 0;
    bool whole_ = false;
};

}  // namespace sg
