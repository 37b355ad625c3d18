#include "rootfs/slices.hpp"

#include <algorithm>
#include <cstring>

namespace sg {

using singularity::Slice;
using singularity::Stream;

BufferPool::Buffer BufferPool::take() {
    std::unique_ptr<BufferBlock> b;
    {
        std::lock_guard lock(mutex_);
        if (!free_.empty()) {
            b = std::move(free_.back());
            free_.pop_back();
        }
    }
    if (!b) b = std::unique_ptr<BufferBlock>(new BufferBlock);  // bytes stay untouched until used
    b->count.store(1, std::memory_order_relaxed);
    b->pool = shared_from_this();
    return Buffer(b.release());
}

void BufferPool::Buffer::release(BufferBlock* b) {
    if (b->count.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    const std::shared_ptr<BufferPool> pool = std::move(b->pool);
    std::unique_ptr<BufferBlock> block(b);
    std::lock_guard lock(pool->mutex_);
    pool->free_.push_back(std::move(block));
}

Slice share(Slice& slice, const uint8_t* from, uint64_t size) {
    sg_slice raw = slice.release();
    if (raw.owner) raw.retain(raw.owner);
    slice = Slice(raw);
    raw.data = from;
    raw.size = size;
    return Slice(raw);
}

namespace {

class Owning final : public Stream {
public:
    Owning(std::unique_ptr<Stream> from, std::shared_ptr<BufferPool> pool)
        : from_(std::move(from)), pool_(std::move(pool)) {}

    Slice next() override {
        if (waiting_.size() > 0) return std::move(waiting_);
        BufferPool::Buffer buffer;
        uint64_t used = 0;
        for (;;) {
            if (rest_.size() == 0) {
                if (ended_) break;
                rest_ = from_->next();
                if (rest_.size() == 0) {
                    ended_ = true;
                    break;
                }
            }
            if (can_share(rest_)) {
                if (used == 0) return std::move(rest_);
                waiting_ = std::move(rest_);
                break;
            }
            if (!buffer) buffer = pool_->take();
            const uint64_t n = std::min<uint64_t>(rest_.size(), BufferPool::size - used);
            std::memcpy(buffer.data() + used, rest_.data(), n);
            used += n;
            rest_ = Slice::borrowed(rest_.data() + n, rest_.size() - n);
            if (rest_.size() == 0) rest_ = {};
            if (used == BufferPool::size) break;
        }
        return used > 0 ? std::move(buffer).slice(used) : Slice();
    }

private:
    std::unique_ptr<Stream> from_;
    std::shared_ptr<BufferPool> pool_;
    Slice rest_, waiting_;
    bool ended_ = false;
};

}  // namespace

std::unique_ptr<Stream> owning(std::unique_ptr<Stream> from, std::shared_ptr<BufferPool> pool) {
    return std::make_unique<Owning>(std::move(from), std::move(pool));
}

}  // namespace sg
