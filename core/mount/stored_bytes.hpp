// The bytes of files that their image holds uncompressed, handed to the kernel from the image's own pages: copied once where
// reading them into a buffer first would copy them twice. Loaders, C libraries and shells are stored so (hot_files.hpp), which is
// most of what a start reads.
#pragma once
#include <singularity/format.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>

namespace sg {

class StoredBytes {
public:
    static constexpr uint64_t least = 16 << 10;  // bytes that make it worth to look
    static constexpr size_t most_pieces = 8;

    // Neither is owned.
    StoredBytes(const sg_root_v1* table, sg_root* root) : table_(table), root_(root) {}
    ~StoredBytes();
    StoredBytes(const StoredBytes&) = delete;
    StoredBytes& operator=(const StoredBytes&) = delete;

    // `want` bytes of a node from `offset`, which must lie in the file: sets the pieces and returns their number; 0 when they are
    // compressed, in too many pieces, of a large file, or the image cannot be mapped. The memory may end in a fault (the
    // file was truncated): give it to system calls only, which then say EFAULT. Any thread.
    size_t pieces(uint64_t node, uint64_t offset, uint64_t want, std::span<iovec, most_pieces> out) noexcept;

private:
    bool map() noexcept;

    const sg_root_v1* table_;
    sg_root* root_;
    std::once_flag once_;
    uint8_t* base_ = nullptr;
    uint64_t size_ = 0;
};

}  // namespace sg
