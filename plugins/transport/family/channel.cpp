#include "family/channel.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <singularity/error.hpp>

namespace http {

using singularity::Code;
using singularity::Error;

SocketChannel::~SocketChannel() {
    if (fd_ >= 0) ::close(fd_);
}

Channel::Result SocketChannel::read(char* to, size_t size) {
    for (;;) {
        const ssize_t n = ::recv(fd_, to, size, 0);
        if (n > 0) return {Did::some, static_cast<size_t>(n)};
        if (n == 0) return {Did::end, 0};
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return {Did::want_read, 0};
        const int e = errno;
        throw Error(Code::network, "the connection broke: " + std::string(std::strerror(e))).because(e);
    }
}

Channel::Result SocketChannel::write(const char* from, size_t size) {
    for (;;) {
        const ssize_t n = ::send(fd_, from, size, MSG_NOSIGNAL);
        if (n >= 0) return {Did::some, static_cast<size_t>(n)};
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return {Did::want_write, 0};
        // The answer may say why, and may have come already.
        if (errno == EPIPE || errno == ECONNRESET) return {Did::end, 0};
        const int e = errno;
        throw Error(Code::network, "the connection broke: " + std::string(std::strerror(e))).because(e);
    }
}

}  // namespace http
