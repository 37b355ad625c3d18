#include "family/report.hpp"

#include <cstring>

namespace launcher {

Pipe::Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail("cannot make a pipe");
    reader = Fd(ends[0]);
    writer = Fd(ends[1]);
}

bool receive(int fd, void* data, size_t size) {
    auto* at = static_cast<char*>(data);
    while (size > 0) {
        const ssize_t n = ::read(fd, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n;
        size -= static_cast<size_t>(n);
    }
    return true;
}

void send_error(int fd, const Error& e) {
    sg_error err;
    std::memset(&err, 0, sizeof err);
    (void)singularity::fill(&err, e.code(), e.message(), e.hint(), e.detail());
    (void)!::write(fd, &err, sizeof err);
}

void receive_error(int fd) {
    sg_error err;
    if (!receive(fd, &err, sizeof err)) return;
    err.message[sizeof err.message - 1] = err.hint[sizeof err.hint - 1] = err.detail[sizeof err.detail - 1] = '\0';
    throw Error(static_cast<Code>(err.code), err.message, err.hint, err.detail);
}

}  // namespace launcher
