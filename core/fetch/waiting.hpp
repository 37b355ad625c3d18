// What a user sees while another process makes what is wanted.
#pragma once
#include <algorithm>
#include <memory>

#include "base/call.hpp"
#include "store/lease.hpp"

namespace sg {

// Shows the owner's progress as a bar of its own; nothing when it is over soon. One thread.
class Waiting {
public:
    explicit Waiting(const sg_call* call) : call_(call) {}
    ~Waiting() {
        if (bar_) bar_->end(SG_OK);
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

    void operator()(const Lease::State& state) {
        if (!call_ || !call_->progress || ++calls_ < 5) return;
        if (!bar_) {
            bar_.reset(call_->progress->begin("Waiting for another process that fetches this image", state.total ? state.total : SG_SIZE_UNKNOWN));
            if (!bar_) call_ = nullptr;
        }
        if (bar_ && state.done > shown_) bar_->advance(state.done - shown_);
        shown_ = std::max(shown_, state.done);
    }

private:
    const sg_call* call_;
    std::unique_ptr<Progress::Bar> bar_;
    uint64_t shown_ = 0;
    int calls_ = 0;
};

}  // namespace sg
