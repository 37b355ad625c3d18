// A stage of the pipeline in a thread of its own, and the bounded queue between stages.
#pragma once
#include <singularity/stream.hpp>

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>

#include "base/call.hpp"

namespace sg {

// What the stages of one pipeline share: set once, they all end soon.
struct StopFlag {
    std::atomic<bool> set{false};
};

// Slices on their way from one thread to another. Holds at most `window` bytes (and one slice more).
class SliceQueue {
public:
    explicit SliceQueue(uint64_t window, std::shared_ptr<StopFlag> stop) : window_(window), stop_(std::move(stop)) {}

    bool push(singularity::Slice s);             // false: the other side has gone
    void end(std::exception_ptr failure = {});   // no more; `pop` throws the failure after what is queued
    // Empty at the end. Throws Code::cancelled when `call` was cancelled or the pipeline stopped.
    singularity::Slice pop(const sg_call* call);
    void stop();

private:
    static constexpr size_t max_slices = 256;
    std::mutex mutex_;
    std::condition_variable filled_, drained_;
    std::deque<singularity::Slice> slices_;
    uint64_t bytes_ = 0;
    const uint64_t window_;
    std::shared_ptr<StopFlag> stop_;
    bool ended_ = false;
    std::exception_ptr failure_;
};

// Pulls `from` in a thread of its own, at most `window` bytes ahead. Its slices must have owners. The
// destructor stops the whole pipeline of `stop` and waits for the thread.
std::unique_ptr<singularity::Stream> read_ahead(std::unique_ptr<singularity::Stream> from, uint64_t window,
                                                std::shared_ptr<StopFlag> stop, const sg_call* call);

}  // namespace sg
