#include "rootfs/read_ahead.hpp"

#include <chrono>
#include <thread>

#include "base/error.hpp"

namespace sg {

using singularity::Slice;
using singularity::Stream;

namespace {
// How often a waiting stage looks at flags that nobody signals (a cancel from a signal handler).
constexpr auto glance = std::chrono::milliseconds(20);
}  // namespace

bool SliceQueue::push(Slice s) {
    std::unique_lock lock(mutex_);
    while (slices_.size() >= max_slices || bytes_ >= window_) {
        if (stop_->set) return false;
        drained_.wait_for(lock, glance);
    }
    if (stop_->set) return false;
    if (!s.is_hole()) bytes_ += s.size();
    slices_.push_back(std::move(s));
    filled_.notify_one();
    return true;
}

void SliceQueue::end(std::exception_ptr failure) {
    std::lock_guard lock(mutex_);
    ended_ = true;
    failure_ = std::move(failure);
    filled_.notify_all();
}

Slice SliceQueue::pop(const sg_call* call) {
    std::unique_lock lock(mutex_);
    while (slices_.empty()) {
        if (ended_) {
            if (failure_) std::rethrow_exception(failure_);
            return {};
        }
        if (call) call->cancel.poll();
        if (stop_->set) throw Error(Code::cancelled, "interrupted");
        filled_.wait_for(lock, glance);
    }
    Slice s = std::move(slices_.front());
    slices_.pop_front();
    if (!s.is_hole()) bytes_ -= s.size();
    drained_.notify_one();
    return s;
}

void SliceQueue::stop() {
    stop_->set = true;
    std::lock_guard lock(mutex_);
    drained_.notify_all();
    filled_.notify_all();
}

namespace {

class ReadAhead final : public Stream {
public:
    ReadAhead(std::unique_ptr<Stream> from, uint64_t window, std::shared_ptr<StopFlag> stop, const sg_call* call)
        : from_(std::move(from)), queue_(window, std::move(stop)), call_(call), thread_([this] { pull(); }) {}
    ~ReadAhead() override {
        queue_.stop();
        thread_.join();
    }
    Slice next() override { return queue_.pop(call_); }

private:
    void pull() noexcept {
        std::exception_ptr failure;
        try {
            for (;;) {
                Slice s = from_->next();
                if (s.size() == 0 || !queue_.push(std::move(s))) break;
            }
        } catch (...) {
            failure = std::current_exception();
        }
        queue_.end(failure);
    }

    std::unique_ptr<Stream> from_;
    SliceQueue queue_;
    const sg_call* call_;
    std::thread thread_;  // last: it uses all of the above
};

}  // namespace

std::unique_ptr<Stream> read_ahead(std::unique_ptr<Stream> from, uint64_t window, std::shared_ptr<StopFlag> stop,
                                   const sg_call* call) {
    return std::make_unique<ReadAhead>(std::move(from), window, std::move(stop), call);
}

}  // namespace sg
