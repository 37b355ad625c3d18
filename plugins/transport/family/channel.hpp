// A two-way way to the peer, that never blocks: a socket, or TLS over one.
#pragma once
#include <cstddef>
#include <memory>
#include <utility>

namespace http {

class Channel {
public:
    enum class Did { some, want_read, want_write, end };
    struct Result {
        Did did = Did::some;
        size_t bytes = 0;  // when some
    };
    virtual ~Channel() = default;
    virtual int fd() const = 0;
    // At most `size` bytes of what is there. `end` is an orderly end; a broken one throws Code::network.
    virtual Result read(char* to, size_t size) = 0;
    // As much as fits; `end`: the peer does not take any more.
    virtual Result write(const char* from, size_t size) = 0;
};

// A connected socket, in non-blocking mode; owns it.
class SocketChannel final : public Channel {
public:
    explicit SocketChannel(int fd) : fd_(fd) {}
    SocketChannel(const SocketChannel&) = delete;
    SocketChannel& operator=(const SocketChannel&) = delete;
    ~SocketChannel() override;
    int fd() const override { return fd_; }
    Result read(char* to, size_t size) override;
    Result write(const char* from, size_t size) override;
    int release() { return std::exchange(fd_, -1); }  // it is the caller's from now on

private:
    int fd_;
};

}  // namespace http
