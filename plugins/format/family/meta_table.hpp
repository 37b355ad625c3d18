// SPDX-License-Identifier: BSD-3-Clause
/*
 * meta_table.hpp: metadata of squashfs: blocks of up to 8 KiB with a header of two bytes each, one behind another
 * (squashfs 4.0, "Metadata"). A block is decompressed when it is touched; nothing is walked ahead.
 */
#pragma once
#include <family/block_cache.hpp>
#include <family/decompressor.hpp>
#include <family/image_view.hpp>

namespace squashfs {

inline constexpr uint32_t metadata_size = 8192;

// All metadata blocks of an image. Any thread.
class Metadata {
public:
    Metadata(const ImageView& image, DecompressorPool& decompressors);
    // The block whose header is at `at`, below `limit`; `what` for messages, as "the inode table".
    BlockCache::Ref block(uint64_t at, uint64_t limit, const char* what);
    const ImageView& image() const { return image_; }

private:
    const ImageView& image_;
    DecompressorPool& decompressors_;
    BlockCache cache_;
};

// A position in a table, which reads on from block to block. Cheap to copy; one thread.
class MetaCursor {
public:
    MetaCursor() = default;
    // `ref`: (offset of the block's header from `start`) << 16 | offset in the decompressed block.
    MetaCursor(Metadata& metadata, uint64_t start, uint64_t limit, uint64_t ref, const char* what);

    void read(void* out, size_t n);
    void skip(uint64_t n);
    // Where it is, to come back to: at(position) of a copy.
    struct Position {
        uint64_t at = 0;
        uint32_t offset = 0;
    };
    Position position() const { return {at_, offset_}; }
    void go(const Position& p);

private:
    void next();

    Metadata* metadata_ = nullptr;
    uint64_t limit_ = 0, at_ = 0;
    uint32_t offset_ = 0;
    const char* what_ = "";
    BlockCache::Ref block_;
};

}  // namespace squashfs
