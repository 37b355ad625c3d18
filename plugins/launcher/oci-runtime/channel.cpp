#include "channel.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cstring>

namespace oci_runtime {
namespace {

constexpr size_t most_descriptors = 4;

struct Head {
    int32_t what, value;
    char text[4096];
};

}  // namespace

std::pair<Channel, Channel> Channel::make() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) launcher::fail("cannot make a socket pair");
    return {Channel(launcher::Fd(ends[0])), Channel(launcher::Fd(ends[1]))};
}

bool Channel::send(Say what, int32_t value, const std::string& text, const std::vector<int>& descriptors) const {
    Head head{};
    head.what = static_cast<int32_t>(what);
    head.value = value;
    if (text.size() >= sizeof head.text || descriptors.size() > most_descriptors) return false;
    std::memcpy(head.text, text.data(), text.size());
    iovec part{&head, sizeof head};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * most_descriptors)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
        cmsghdr* c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
        std::memcpy(CMSG_DATA(c), descriptors.data(), sizeof(int) * descriptors.size());
    }
    ssize_t n;
    while ((n = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL)) < 0 && errno == EINTR) {
    }
    return n == static_cast<ssize_t>(sizeof head);
}

std::optional<Message> Channel::receive() const {
    Head head{};
    iovec part{&head, sizeof head};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * most_descriptors)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n;
    while ((n = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
    }
    Message out;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); n >= 0 && c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            out.descriptors.emplace_back(fd);
        }
    }
    if (n != static_cast<ssize_t>(sizeof head)) return std::nullopt;
    head.text[sizeof head.text - 1] = '\0';
    out.what = static_cast<Say>(head.what);
    out.value = head.value;
    out.text = head.text;
    return out;
}

bool Channel::closed() const {
    pollfd p{socket_.get(), 0, 0};
    return ::poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

}  // namespace oci_runtime
