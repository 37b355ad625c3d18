// Buffers of one size that are recycled, and what the pipeline does with slices of them.
#pragma once
#include <singularity/stream.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace sg {

class BufferPool;

struct BufferBlock {
    static constexpr size_t size = 1 << 20;
    std::atomic<uint32_t> count{1};
    std::shared_ptr<BufferPool> pool;  // set while it is in use
    alignas(64) uint8_t bytes[size];
};

// Hands out buffers of `size` bytes; a released one is used again. Any thread. Buffers may outlive it.
class BufferPool : public std::enable_shared_from_this<BufferPool> {
public:
    static constexpr size_t size = BufferBlock::size;

    // A buffer to be filled, with one owner; becomes a slice of its first bytes.
    class Buffer {
    public:
        Buffer() = default;
        explicit Buffer(BufferBlock* b) : block_(b) {}
        Buffer(Buffer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
        Buffer& operator=(Buffer&& other) noexcept {
            std::swap(block_, other.block_);
            return *this;
        }
        ~Buffer() {
            if (block_) release(block_);
        }
        explicit operator bool() const { return block_ != nullptr; }
        uint8_t* data() const { return block_->bytes; }
        singularity::Slice slice(uint64_t used) && {
            sg_slice s{};
            s.data = block_->bytes;
            s.size = used;
            s.owner = std::exchange(block_, nullptr);
            s.retain = [](void* b) { static_cast<BufferBlock*>(b)->count.fetch_add(1, std::memory_order_relaxed); };
            s.release = [](void* b) { release(static_cast<BufferBlock*>(b)); };
            return singularity::Slice(s);
        }

    private:
        static void release(BufferBlock* b);
        BufferBlock* block_ = nullptr;
    };

    static std::shared_ptr<BufferPool> make() { return std::make_shared<BufferPool>(); }
    Buffer take();

private:
    std::mutex mutex_;
    std::vector<std::unique_ptr<BufferBlock>> free_;
};

// Whether more references of a slice can be had (holes always: they have no memory).
inline bool can_share(const singularity::Slice& s) { return s.has_owner() || s.data() == nullptr; }

// One more reference of the bytes [from, from + size) of a slice that can be shared.
singularity::Slice share(singularity::Slice& slice, const uint8_t* from, uint64_t size);
inline singularity::Slice share(singularity::Slice& s) { return share(s, s.data(), s.size()); }

// `from` with slices that all have owners: what has none is copied, small pieces together.
std::unique_ptr<singularity::Stream> owning(std::unique_ptr<singularity::Stream> from,
                                            std::shared_ptr<BufferPool> pool);

}  // namespace sg
