#include "plugin/memory_budget.hpp"

#include <algorithm>
#include <chrono>

namespace sg {

bool MemoryBudget::reserve(uint64_t bytes, const CancelToken* cancel) {
    std::unique_lock lock(mutex_);
    while (held_ != 0 && (bytes > limit_ || held_ > limit_ - bytes)) {
        if (cancel && cancel->cancelled()) return false;
        // The token wakes nobody here: look at it often enough for its promise of 100 ms.
        freed_.wait_for(lock, std::chrono::milliseconds(cancel ? 50 : 1000));
    }
    if (cancel && cancel->cancelled()) return false;
    held_ += bytes;
    return true;
}

void MemoryBudget::release(uint64_t bytes) {
    {
        const std::lock_guard lock(mutex_);
        held_ -= std::min(bytes, held_);
    }
    freed_.notify_all();
}

}  // namespace sg
