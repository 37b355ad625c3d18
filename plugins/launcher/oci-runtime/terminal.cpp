#include "terminal.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

namespace oci_runtime {

using launcher::fail;
using launcher::Fd;

namespace {

void write_all(int fd, const char* at, size_t size) {
    while (size > 0) {
        const ssize_t n = ::write(fd, at, size);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
            pollfd p{fd, POLLOUT, 0};
            (void)::poll(&p, 1, 1000);
            continue;
        }
        if (n <= 0) return;
        at += n;
        size -= static_cast<size_t>(n);
    }
}

}  // namespace

bool has_terminal() {
    struct stat s[3];
    for (int fd = 0; fd < 3; ++fd)
        if (::isatty(fd) != 1 || ::fstat(fd, &s[fd]) != 0 || s[fd].st_rdev != s[0].st_rdev) return false;
    return ::tcgetpgrp(0) == ::getpgrp();  // a job in the background may not change it
}

ConsoleSocket::ConsoleSocket(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        throw launcher::Error(launcher::Code::limit, "the path of the console socket is too long: " + path);
    std::memcpy(address.sun_path, path.c_str(), path.size());
    if (!socket_ || ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket_.get(), 1) != 0)
        fail("cannot make the console socket", path);
}

Fd ConsoleSocket::receive() const {
    pollfd p{socket_.get(), POLLIN, 0};
    const Fd from(::poll(&p, 1, 0) == 1 ? ::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC) : -1);
    char name[256];
    iovec part{name, sizeof name};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    int fd = -1;
    if (from && ::recvmsg(from.get(), &message, MSG_CMSG_CLOEXEC) >= 0)
        if (const cmsghdr* c = CMSG_FIRSTHDR(&message); c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            std::memcpy(&fd, CMSG_DATA(c), sizeof fd);
    if (fd < 0) throw launcher::Error(launcher::Code::internal, "the OCI runtime sent no terminal");
    return Fd(fd);
}

Relay::Relay(Fd master) : master_(std::move(master)) {
    (void)::fcntl(master_.get(), F_SETFL, O_RDWR | O_NONBLOCK);
    resized();
    termios now;
    if (::tcgetattr(0, &now) != 0) return;
    before_ = now;
    ::cfmakeraw(&now);
    (void)::tcsetattr(0, TCSADRAIN, &now);
}

Relay::~Relay() {
    if (before_) (void)::tcsetattr(0, TCSADRAIN, &*before_);
}

void Relay::typed() {
    char buffer[4096];
    const ssize_t n = ::read(0, buffer, sizeof buffer);
    if (n > 0) write_all(master_.get(), buffer, static_cast<size_t>(n));
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) reads_input_ = false;
}

void Relay::written() {
    char buffer[65536];
    const ssize_t n = ::read(master_.get(), buffer, sizeof buffer);
    if (n > 0) write_all(1, buffer, static_cast<size_t>(n));
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) master_.reset();  // EIO: nobody has it open any more
}

void Relay::resized() const {
    winsize size;
    if (master_ && ::ioctl(0, TIOCGWINSZ, &size) == 0) (void)::ioctl(master_.get(), TIOCSWINSZ, &size);
}

void Relay::drain() {
    for (pollfd p{master_.get(), POLLIN, 0}; master_ && ::poll(&p, 1, 0) == 1; p.fd = master_.get()) written();
}

}  // namespace oci_runtime
