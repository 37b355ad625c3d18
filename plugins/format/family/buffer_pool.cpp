// SPDX-License-Identifier: BSD-3-Clause
#include <family/buffer_pool.hpp>

#include <algorithm>
#include <new>
#include <sys/mman.h>

namespace squashfs {

namespace {
constexpr size_t arena_size = size_t{2} << 20;
constexpr size_t first_size = size_t{256} << 10;
}

BufferPool::BufferPool(size_t buffer_size) : size_((buffer_size + 4095) / 4096 * 4096) {}

BufferPool::~BufferPool() {
    for (const auto& m : mappings_) munmap(m.at, m.size);
}

void BufferPool::grow() {
    if (mappings_.empty() && size_ <= first_size) {
        // Who needs a few buffers only, as a start of a small program does, must not pay for a huge page.
        void* at = mmap(nullptr, first_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) throw std::bad_alloc();
        mappings_.push_back({at, first_size});
        add(static_cast<uint8_t*>(at), first_size);
        return;
    }
    // Twice the size, so that an aligned arena lies in it; what is never touched costs nothing.
    const size_t arena = std::max(arena_size, size_);
    const size_t mapped = arena + arena_size;
    void* at = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    mappings_.push_back({at, mapped});
    auto* start = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(at) + arena_size - 1) & ~(uintptr_t{arena_size} - 1));
    madvise(start, arena, MADV_HUGEPAGE);
    add(start, arena);
}

void BufferPool::add(uint8_t* start, size_t bytes) {
    // Room for every buffer that can come back, so that put() never allocates.
    buffers_ += bytes / size_;
    free_.reserve(buffers_);
    for (size_t i = bytes / size_; i-- > 0;) free_.push_back(start + i * size_);
}

uint8_t* BufferPool::get() {
    std::lock_guard lock(mutex_);
    if (free_.empty()) grow();
    uint8_t* buffer = free_.back();
    free_.pop_back();
    return buffer;
}

void BufferPool::put(uint8_t* buffer) noexcept {
    if (!buffer) return;
    std::lock_guard lock(mutex_);
    free_.push_back(buffer);
}

}  // namespace squashfs
