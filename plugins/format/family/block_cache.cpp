// SPDX-License-Identifier: BSD-3-Clause
#include <family/block_cache.hpp>

#include <algorithm>

namespace squashfs {

BlockCache::BlockCache(size_t buffer_size, size_t capacity_bytes)
    : per_shard_(std::max<size_t>(2, capacity_bytes / buffer_size / shard_count)), pool_(std::make_shared<BufferPool>(buffer_size)) {}

std::shared_ptr<BlockCache::Block> BlockCache::find(const Key& key) {
    Shard& shard = shards_[(key.offset * 0x9E3779B97F4A7C15u) >> 60];
    std::shared_ptr<Block> dropped;  // its buffer goes back outside the lock
    std::lock_guard lock(shard.mutex);
    const auto at = shard.found.find(key);
    if (at != shard.found.end()) {
        shard.order.splice(shard.order.begin(), shard.order, at->second);
        return at->second->second;
    }
    shard.order.emplace_front(key, std::make_shared<Block>());
    try {
        shard.found.emplace(key, shard.order.begin());
    } catch (...) {
        shard.order.pop_front();
        throw;
    }
    auto block = shard.order.front().second;
    if (shard.order.size() > per_shard_) {
        dropped = std::move(shard.order.back().second);
        shard.found.erase(shard.order.back().first);
        shard.order.pop_back();
    }
    return block;
}

}  // namespace squashfs
