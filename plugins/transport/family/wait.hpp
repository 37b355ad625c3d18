// How long one request may take, and who may end it earlier.
#pragma once
#include <poll.h>

#include <chrono>
#include <singularity/host.hpp>
#include <string>

namespace http {

using singularity::Code;
using singularity::Error;
using singularity::Host;

// Milliseconds; 0: no limit.
struct Timeouts {
    uint64_t connect = 0;  // from the name of the host to the end of the TLS handshake
    uint64_t idle = 0;     // no byte for so long; also from the last byte of the request to the end of the answer's head
    uint64_t total = 0;    // from the first name look-up to the last byte of the body
};

// Every wait of a request goes through here: it ends with the descriptor, with the user's cancel within 100 ms, or with
// the time-out of the phase. One thread at a time.
class Wait {
public:
    // conversation: silence is no failure, and neither time-out holds.
    enum class Phase { connect, head, body, conversation };

    // `keys` is the prefix of the configuration keys that hints name ("https"); `what` the request for messages.
    Wait(const Host& host, const Timeouts& timeouts, std::string keys, std::string what);

    void begin(Phase phase);
    // The request that is being made now (it changes with redirects).
    void about(std::string what) { what_ = std::move(what); }
    const std::string& what() const { return what_; }
    const Host& host() const { return host_; }

    // Waits until one of the descriptors has an event. Throws Code::cancelled or Code::timeout.
    void until(pollfd* fds, size_t count);
    void until(int fd, short events);
    // The same, but at most so long: false when nothing happened.
    bool within(pollfd* fds, size_t count, uint64_t milliseconds);
    // Throws when it is over already.
    void check() const;

private:
    using Clock = std::chrono::steady_clock;
    static constexpr Clock::time_point never = Clock::time_point::max();
    [[noreturn]] void expired() const;
    Clock::time_point deadline() const { return std::min(phase_end_, total_end_); }

    Host host_;
    Timeouts timeouts_;
    std::string keys_, what_;
    int cancel_fd_;
    Phase phase_ = Phase::connect;
    Clock::time_point phase_end_ = never, total_end_ = never;
};

}  // namespace http
