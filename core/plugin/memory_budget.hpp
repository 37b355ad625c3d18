// The bytes that a process may hold in large buffers.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "base/call.hpp"

namespace sg {

// Any thread.
class MemoryBudget {
public:
    explicit MemoryBudget(uint64_t limit) : limit_(limit) {}

    // Waits until `bytes` more are free; at once when nothing is held, so that one buffer larger than the
    // whole budget cannot wait for ever. False when `cancel` (may be null) is set.
    bool reserve(uint64_t bytes, const CancelToken* cancel);
    void release(uint64_t bytes);

private:
    const uint64_t limit_;
    std::mutex mutex_;
    std::condition_variable freed_;
    uint64_t held_ = 0;
};

}  // namespace sg
