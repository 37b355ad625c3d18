// One long call: its cancel token and where its progress goes; what plugins see as sg_call.
#pragma once
#include <singularity/host.h>

#include <atomic>

#include "base/unique_fd.hpp"

namespace sg {

// Set once, from any thread or a signal handler; never reset.
class CancelToken {
public:
    CancelToken();  // opens an eventfd
    void cancel() noexcept;  // async-signal-safe
    bool cancelled() const noexcept { return set_.load(std::memory_order_relaxed); }
    int fd() const noexcept { return fd_.get(); }  // readable once cancelled
    void poll() const;                             // throws Code::cancelled

private:
    std::atomic<bool> set_{false};
    UniqueFd fd_;
};

// Where progress goes. Any thread.
class Progress {
public:
    class Bar {
    public:
        virtual ~Bar() = default;
        virtual void advance(uint64_t bytes) = 0;
        virtual void end(int32_t code) = 0;  // an sg_code; called once, before destruction
    };
    virtual ~Progress() = default;
    // A bar of `total` bytes (or SG_SIZE_UNKNOWN); owned by the caller.
    virtual Bar* begin(const char* label, uint64_t total) = 0;
};

}  // namespace sg

// The host's side of the opaque sg_call.
struct sg_call {
    const sg::CancelToken& cancel;
    sg::Progress* progress;  // NULL: nobody watches
};
