// SPDX-License-Identifier: BSD-3-Clause
/*
 * block_cache.hpp: decompressed blocks for all threads, least recently used ones dropped. A block that several
 * threads want is loaded by one of them while the others wait for it. What a caller holds stays valid
 * after it was dropped, also after the cache is gone. Any thread.
 */
#pragma once
#include <family/buffer_pool.hpp>

#include <array>
#include <atomic>
#include <list>
#include <unordered_map>

namespace squashfs {

class BlockCache {
public:
    // `stored`: the size as stored with its flag, so that two damaged descriptions of one place do not meet.
    struct Key {
        uint64_t offset;
        uint32_t stored;
        bool operator==(const Key&) const = default;
    };

    class Block {
    public:
        ~Block() {
            if (data_) pool_->put(data_);
        }
        const uint8_t* data() const { return data_; }
        uint32_t size = 0;        // set by the loader
        uint64_t stored_end = 0;  // of a metadata block: where the next one starts

    private:
        friend class BlockCache;
        std::shared_ptr<BufferPool> pool_;
        uint8_t* data_ = nullptr;
        std::atomic<bool> ready_{false};
        std::mutex loading_;
    };
    using Ref = std::shared_ptr<const Block>;

    BlockCache(size_t buffer_size, size_t capacity_bytes);

    // load(Block&, uint8_t* buffer) fills the buffer and `size`; what it throws is thrown here and nothing is kept.
    template <class Load>
    Ref get(const Key& key, Load&& load) {
        const std::shared_ptr<Block> block = find(key);
        if (block->ready_.load(std::memory_order_acquire)) return block;
        std::lock_guard lock(block->loading_);
        if (block->ready_.load(std::memory_order_relaxed)) return block;
        if (!block->data_) {
            block->pool_ = pool_;
            block->data_ = pool_->get();
        }
        load(*block, block->data_);
        block->ready_.store(true, std::memory_order_release);
        return block;
    }

private:
    static constexpr size_t shard_count = 16;
    struct Hash {
        size_t operator()(const Key& k) const { return static_cast<size_t>((k.offset ^ uint64_t{k.stored} << 40) * 0x9E3779B97F4A7C15u >> 7); }
    };
    using Entry = std::pair<Key, std::shared_ptr<Block>>;
    struct Shard {
        std::mutex mutex;
        std::list<Entry> order;  // most recently used first
        std::unordered_map<Key, std::list<Entry>::iterator, Hash> found;
    };
    std::shared_ptr<Block> find(const Key& key);

    const size_t per_shard_;
    std::shared_ptr<BufferPool> pool_;
    std::array<Shard, shard_count> shards_;
};

}  // namespace squashfs
