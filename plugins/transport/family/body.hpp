// The body of an answer, on its way from the connection to the reader.
#pragma once
#include <exception>
#include <memory>
#include <mutex>
#include <singularity/stream.hpp>
#include <string>
#include <vector>

#include "family/connection.hpp"

namespace http {

// Follows a body's framing over a connection; at its end the connection goes back to the pool. A body that ends before
// its promised length is Code::network: an error, never a short success. One thread at a time.
class Body {
public:
    // `key` is the connection's in the pool; "": it is not kept.
    Body(std::unique_ptr<Connection> connection, const Framing& framing, std::string key, Wait wait);

    // Up to `size` bytes; 0 when done(), or when there is none now (Patience::now).
    size_t read(char* to, size_t size, Connection::Patience patience);
    bool done() const { return state_ == State::done; }
    // Bytes still to come, or SG_SIZE_UNKNOWN.
    uint64_t left() const;
    // Waits a moment for more.
    void linger(uint64_t milliseconds);

private:
    enum class State { data, size_line, after_data, trailer, done };
    size_t read_framed(char* to, size_t size, Connection::Patience patience);
    bool line(std::string& out, Connection::Patience patience);
    void finish();
    [[noreturn]] void truncated() const;

    std::unique_ptr<Connection> connection_;
    Framing framing_;
    std::string key_;
    Wait wait_;
    State state_;
    uint64_t left_;      // of the whole, or of the present chunk
    uint64_t got_ = 0;
    size_t trailer_ = 0;  // bytes of it
};

// Slices of 64 KiB to 1 MiB where the server sends so much; each owns its bytes.
class BodyStream final : public singularity::Stream {
public:
    explicit BodyStream(std::unique_ptr<Body> body) : body_(std::move(body)), bank_(std::make_shared<Bank>()) {}
    singularity::Slice next() override;

private:
    // Buffers that readers have let go of: fresh ones cost a page fault for each 4 KiB.
    struct Bank {
        std::mutex mutex;
        std::vector<std::unique_ptr<char[]>> free;
    };
    std::unique_ptr<Body> body_;
    std::shared_ptr<Bank> bank_;
    std::exception_ptr failure_;  // for the next call
};

}  // namespace http
