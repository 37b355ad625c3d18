// A call that ends by itself after a while.
#pragma once
#include <atomic>
#include <chrono>
#include <thread>

#include "base/call.hpp"

namespace sg {

class TimedCall {
public:
    // Cancelled when `outer` is, which must outlive this, or after `time`.
    TimedCall(const sg_call& outer, std::chrono::milliseconds time);
    ~TimedCall();
    TimedCall(const TimedCall&) = delete;
    TimedCall& operator=(const TimedCall&) = delete;

    const sg_call* call() const { return &call_; }
    bool over() const { return over_; }  // it was the time

private:
    CancelToken cancel_;
    const sg_call call_;
    const UniqueFd done_;
    std::atomic<bool> over_{false};
    std::thread thread_;
};

// While one lives no time passes for any timed call: somebody thinks of a password. Any thread.
class Untimed {
public:
    Untimed();
    ~Untimed();
    Untimed(const Untimed&) = delete;
    Untimed& operator=(const Untimed&) = delete;
};

}  // namespace sg
