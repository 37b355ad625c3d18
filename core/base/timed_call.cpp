#include "base/timed_call.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "base/error.hpp"

namespace sg {

namespace {

using Clock = std::chrono::steady_clock;

std::mutex untimed_mutex;  // of the next three
unsigned untimed = 0;
Clock::time_point untimed_since;
Clock::duration untimed_before{};

// A clock that stands still while there is an Untimed.
Clock::time_point now() {
    const std::lock_guard lock(untimed_mutex);
    return (untimed > 0 ? untimed_since : Clock::now()) - untimed_before;
}

}  // namespace

Untimed::Untimed() {
    const std::lock_guard lock(untimed_mutex);
    if (untimed++ == 0) untimed_since = Clock::now();
}

Untimed::~Untimed() {
    const std::lock_guard lock(untimed_mutex);
    if (--untimed == 0) untimed_before += Clock::now() - untimed_since;
}

TimedCall::TimedCall(const sg_call& outer, std::chrono::milliseconds time)
    : call_{cancel_, outer.progress}, done_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!done_) throw_errno("cannot make an event descriptor", "");
    thread_ = std::thread([this, end = now() + time, outside = outer.cancel.fd()] {
        pollfd both[] = {{outside, POLLIN, 0}, {done_.get(), POLLIN, 0}};
        for (;;) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - now()).count();
            // In steps, for time that stands still.
            const int n = left > 0 ? ::poll(both, 2, static_cast<int>(std::max<int64_t>(left, 20))) : 0;
            if (n < 0 && errno == EINTR) continue;
            if (both[1].revents) return;
            if (n == 0 && left > 0) continue;
            over_ = n == 0;
            cancel_.cancel();
            return;
        }
    });
}

TimedCall::~TimedCall() {
    const uint64_t one = 1;
    [[maybe_unused]] const auto n = ::write(done_.get(), &one, sizeof one);
    thread_.join();
}

}  // namespace sg
