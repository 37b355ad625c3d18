#include "family/wait.hpp"

#include <algorithm>
#include <cerrno>
#include <vector>

namespace http {

namespace {

// How often the cancel token is asked when it has no descriptor to wait for.
constexpr int64_t tick = 50;

std::string seconds(uint64_t milliseconds) {
    if (milliseconds % 1000 == 0) return std::to_string(milliseconds / 1000) + " s";
    return std::to_string(milliseconds) + " ms";
}

}  // namespace

Wait::Wait(const Host& host, const Timeouts& timeouts, std::string keys, std::string what)
    : host_(host), timeouts_(timeouts), keys_(std::move(keys)), what_(std::move(what)), cancel_fd_(host.cancel_fd()) {
    if (timeouts_.total != 0) total_end_ = Clock::now() + std::chrono::milliseconds(timeouts_.total);
}

void Wait::begin(Phase phase) {
    phase_ = phase;
    const uint64_t limit = phase == Phase::connect ? timeouts_.connect : phase == Phase::conversation ? 0 : timeouts_.idle;
    if (phase == Phase::conversation) total_end_ = never;
    phase_end_ = limit == 0 ? never : Clock::now() + std::chrono::milliseconds(limit);
    check();
}

void Wait::check() const {
    host_.poll();
    if (total_end_ != never && Clock::now() >= total_end_) expired();
}

void Wait::expired() const {
    if (total_end_ <= phase_end_)
        throw Error(Code::timeout, what_ + ": not done after " + seconds(timeouts_.total),
                    "The configuration key " + keys_ + ".total_timeout sets how many seconds one request may take.");
    if (phase_ == Phase::connect)
        throw Error(Code::timeout, what_ + ": no connection within " + seconds(timeouts_.connect),
                    "Is the address right, and is a proxy needed here (HTTPS_PROXY)? The configuration key " + keys_ +
                        ".connect_timeout sets how many seconds to wait.");
    throw Error(Code::timeout,
                what_ + (phase_ == Phase::head ? ": no answer within " : ": no byte came for ") + seconds(timeouts_.idle),
                "The configuration key " + keys_ + ".idle_timeout sets how many seconds of silence are too many.");
}

void Wait::until(int fd, short events) {
    pollfd one{fd, events, 0};
    until(&one, 1);
}

void Wait::until(pollfd* fds, size_t count) {
    if (phase_ == Phase::body) begin(Phase::body);  // each byte begins the idle time anew
    while (!within(fds, count, 3600 * 1000)) {
    }
}

bool Wait::within(pollfd* fds, size_t count, uint64_t milliseconds) {
    std::vector<pollfd> all(fds, fds + count);
    if (cancel_fd_ >= 0) all.push_back({cancel_fd_, POLLIN, 0});
    const auto soft = Clock::now() + std::chrono::milliseconds(milliseconds);
    for (;;) {
        host_.poll();
        const auto now = Clock::now();
        if (now >= deadline()) expired();
        if (now >= soft) return false;
        // Rounded up, so that the last millisecond is not spent in a loop.
        int64_t left = std::chrono::ceil<std::chrono::milliseconds>(std::min(soft, deadline()) - now).count();
        if (cancel_fd_ < 0 && host_.call()) left = std::min(left, tick);
        const int n = ::poll(all.data(), all.size(), static_cast<int>(std::min<int64_t>(left, 60000)));
        if (n < 0 && errno != EINTR) throw Error(Code::internal, "poll: " + std::string(std::strerror(errno)));
        if (n <= 0) continue;
        bool found = false;
        for (size_t i = 0; i < count; ++i) {
            fds[i].revents = all[i].revents;
            found = found || all[i].revents != 0;
        }
        if (found) return true;
    }
}

}  // namespace http
