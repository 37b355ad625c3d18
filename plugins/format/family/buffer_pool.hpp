// SPDX-License-Identifier: BSD-3-Clause
/*
 * buffer_pool.hpp: buffers of one size for many threads, cut from 2 MiB arenas in huge pages, after a small first one.
 *
 * Page faults were the largest cost of a block after decompressing it.
 * Buffers come back with whatever they held. Arenas are freed with the pool, which must outlive
 * every buffer. Any thread.
 */
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace squashfs {

class BufferPool {
public:
    explicit BufferPool(size_t buffer_size);
    ~BufferPool();
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;

    uint8_t* get();  // throws std::bad_alloc
    void put(uint8_t* buffer) noexcept;
    size_t buffer_size() const { return size_; }

private:
    void grow();
    void add(uint8_t* start, size_t bytes);
    size_t size_;
    size_t buffers_ = 0;  // in all
    std::mutex mutex_;
    std::vector<uint8_t*> free_;
    struct Mapping {
        void* at;
        size_t size;
    };
    std::vector<Mapping> mappings_;
};

}  // namespace squashfs
