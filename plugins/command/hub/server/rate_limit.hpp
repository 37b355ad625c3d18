// At most so many of something in so many seconds, for each of many (an address, a user).
#pragma once
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "hub/accounts/accounts.hpp"

namespace hub {

// A window begins with the first of a kind and ends `seconds` later. Any thread; memory is bounded.
class RateLimit {
public:
    RateLimit(int most, int64_t seconds) : most_(most), seconds_(seconds) {}

    bool full(const std::string& who) {
        const std::scoped_lock lock(mutex_);
        const auto it = windows_.find(who);
        return it != windows_.end() && it->second.begin > now() - seconds_ && it->second.count >= most_;
    }
    // Counts one; false, and nothing counted, when it is full.
    bool take(const std::string& who) {
        const std::scoped_lock lock(mutex_);
        const int64_t time = now();
        if (windows_.size() >= most_windows && std::exchange(swept_, time) != time)
            std::erase_if(windows_, [&](const auto& w) { return w.second.begin <= time - seconds_; });
        // So many at a time are an attack: those that are known keep their limits, others share one.
        auto& w = windows_[windows_.size() < most_windows || windows_.contains(who) ? who : std::string()];
        if (w.begin <= time - seconds_) w = {time, 0};
        if (w.count >= most_) return false;
        ++w.count;
        return true;
    }

private:
    struct Window {
        int64_t begin = 0;
        int count = 0;
    };
    static constexpr size_t most_windows = 10000;
    std::mutex mutex_;
    std::unordered_map<std::string, Window> windows_;
    int most_;
    int64_t seconds_, swept_ = 0;
};

}  // namespace hub
