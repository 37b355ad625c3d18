// A connection to one server: buffered reading, whole writing, and the heads of answers.
#pragma once
#include <chrono>
#include <memory>
#include <string>

#include "family/channel.hpp"
#include "family/message.hpp"
#include "family/wait.hpp"

namespace http {

// The peer closed or reset before the first byte of an answer: on a kept connection, the request may be sent again.
class Dropped : public Error {
public:
    explicit Dropped(const Error& e) : Error(e) {}
};

// One thread at a time.
class Connection {
public:
    explicit Connection(std::unique_ptr<Channel> channel) : channel_(std::move(channel)) {}

    enum class Patience { wait, now };  // now: do not wait for bytes that are not there

    // False: the peer has begun to answer, or takes no more: read its answer.
    bool write(std::string_view bytes, Wait& wait);
    // All of it; what the peer says meanwhile is kept for `read`.
    void write_whole(std::string_view bytes, Wait& wait);
    // The next answer's head, those with status 100 to 199 (but 101) left out.
    ResponseHead read_head(Wait& wait);

    // Up to `size` bytes, at least one; 0 when there is none now (Patience::now) or ever (then ended()).
    size_t read(char* to, size_t size, Wait& wait, Patience patience);
    // Gets more into the buffer; false as `read` gives 0.
    bool fill(Wait& wait, Patience patience);
    std::string_view buffered() const { return std::string_view(buffer_).substr(at_); }
    void consume(size_t bytes) { at_ += bytes; }
    bool ended() const { return ended_; }
    // Waits at most so long for something to read.
    bool readable_within(Wait& wait, uint64_t milliseconds);

    // Nothing came since the last answer, and the peer did not close: fit for another request.
    bool quiet();
    bool used() const { return used_; }  // it has carried an answer before
    void mark_idle() { used_ = true, idle_since_ = std::chrono::steady_clock::now(); }
    std::chrono::steady_clock::time_point idle_since() const { return idle_since_; }

private:
    size_t receive(char* to, size_t size, Wait& wait, Patience patience);

    std::unique_ptr<Channel> channel_;
    std::string buffer_;
    size_t at_ = 0;
    bool ended_ = false, used_ = false;
    std::chrono::steady_clock::time_point idle_since_{};
};

}  // namespace http
