#include "https/resolver.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>

namespace https {

using http::Wait;
using singularity::Code;
using singularity::Error;

namespace {

constexpr uint64_t head_start_ms = 250;

const sockaddr_in& v4(const Address& a) { return reinterpret_cast<const sockaddr_in&>(a.storage); }
const sockaddr_in6& v6(const Address& a) { return reinterpret_cast<const sockaddr_in6&>(a.storage); }

std::vector<Address> addresses_of(const addrinfo* list) {
    std::vector<Address> out;
    for (; list; list = list->ai_next) {
        if (list->ai_addrlen > sizeof(sockaddr_storage)) continue;
        Address a;
        std::memcpy(&a.storage, list->ai_addr, list->ai_addrlen);
        a.size = list->ai_addrlen;
        out.push_back(a);
    }
    return out;
}

int look_up(const std::string& host, uint16_t port, int flags, std::vector<Address>& out) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | flags;
    addrinfo* list = nullptr;
    const int rc = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
    if (rc != 0) return rc;
    out = addresses_of(list);
    ::freeaddrinfo(list);
    return 0;
}

// Shared by the thread and who waits for it, whichever lives longer.
struct LookUp {
    std::string host;
    uint16_t port;
    int event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = 0;
    std::vector<Address> found;
    ~LookUp() {
        if (event >= 0) ::close(event);
    }
};

void* run_look_up(void* argument) {
    const std::unique_ptr<std::shared_ptr<LookUp>> owner(static_cast<std::shared_ptr<LookUp>*>(argument));
    LookUp& l = **owner;
    l.rc = look_up(l.host, l.port, 0, l.found);
    const uint64_t one = 1;
    [[maybe_unused]] const auto n = ::write(l.event, &one, sizeof one);
    return nullptr;
}

bool start_thread(const std::shared_ptr<LookUp>& look_up) {
    auto argument = std::make_unique<std::shared_ptr<LookUp>>(look_up);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    // The process's signals are for its other threads.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    const bool started = pthread_create(&thread, &attributes, run_look_up, argument.get()) == 0;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    if (started) argument.release();
    return started;
}

class Attempt {
public:
    explicit Attempt(int fd) : fd_(fd) {}
    Attempt(Attempt&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
    Attempt& operator=(Attempt&& o) noexcept {
        std::swap(fd_, o.fd_);
        return *this;
    }
    ~Attempt() {
        if (fd_ >= 0) ::close(fd_);
    }
    int fd() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }

private:
    int fd_;
};

Error failed(const std::string& where, int e) {
    std::string hint;
    if (e == ECONNREFUSED) hint = "Nothing listens there: is the port right, and does the server run?";
    if (e == ENETUNREACH || e == EHOSTUNREACH) hint = "Is this machine online? A proxy may be needed (HTTPS_PROXY, HTTP_PROXY).";
    return Error(e == ETIMEDOUT ? Code::timeout : Code::network, "cannot connect to " + where + ": " + std::strerror(e), hint).because(e);
}

}  // namespace

std::string Address::text() const {
    char out[INET6_ADDRSTRLEN] = "";
    if (family() == AF_INET) ::inet_ntop(AF_INET, &v4(*this).sin_addr, out, sizeof out);
    if (family() == AF_INET6) ::inet_ntop(AF_INET6, &v6(*this).sin6_addr, out, sizeof out);
    return out;
}

bool Address::link_local() const {
    if (family() == AF_INET) return (ntohl(v4(*this).sin_addr.s_addr) >> 16) == 0xa9fe;
    if (family() != AF_INET6) return false;
    const auto* b = v6(*this).sin6_addr.s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&v6(*this).sin6_addr)) return b[12] == 169 && b[13] == 254;
    return IN6_IS_ADDR_LINKLOCAL(&v6(*this).sin6_addr);
}

bool Address::loopback() const {
    if (family() == AF_INET) return (ntohl(v4(*this).sin_addr.s_addr) >> 24) == 127;
    if (family() != AF_INET6) return false;
    if (IN6_IS_ADDR_V4MAPPED(&v6(*this).sin6_addr)) return v6(*this).sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&v6(*this).sin6_addr);
}

bool parse_address(const std::string& host, uint16_t port, Address& out) {
    std::vector<Address> found;
    if (look_up(host, port, AI_NUMERICHOST, found) != 0 || found.empty()) return false;
    out = found.front();
    return true;
}

std::vector<Address> resolve(const std::string& host, uint16_t port, Wait& wait) {
    if (Address literal; parse_address(host, port, literal)) return {literal};
    auto l = std::make_shared<LookUp>();
    l->host = host;
    l->port = port;
    if (l->event < 0 || !start_thread(l)) throw Error(Code::limit, "cannot look up " + host + ": no thread for it can be started");
    wait.until(l->event, POLLIN);
    if (l->rc == 0 && !l->found.empty()) return l->found;
    if (l->rc == EAI_NONAME || l->rc == EAI_NODATA || l->rc == 0)
        throw Error(Code::network, "the host " + host + " is unknown", "Is its name right? A proxy may be needed (HTTPS_PROXY, HTTP_PROXY).").because(ENXIO);
    const int e = l->rc == EAI_SYSTEM ? errno : 0;
    throw Error(Code::network, "the host " + host + " cannot be looked up: " + (e ? std::strerror(e) : ::gai_strerror(l->rc)),
                "Is this machine online?")
        .because(e);
}

int connect(const std::vector<Address>& addresses, const std::string& where, Wait& wait) {
    std::vector<Attempt> running;
    size_t next = 0;
    int last_error = 0;
    for (;;) {
        if (next < addresses.size()) {
            const Address& a = addresses[next++];
            Attempt attempt(::socket(a.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            if (attempt.fd() < 0) {
                last_error = errno;
            } else {
                const int on = 1;
                ::setsockopt(attempt.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                ::setsockopt(attempt.fd(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
                if (::connect(attempt.fd(), reinterpret_cast<const sockaddr*>(&a.storage), a.size) == 0) return attempt.release();
                if (errno == EINPROGRESS || errno == EINTR)
                    running.push_back(std::move(attempt));
                else
                    last_error = errno;
            }
        }
        if (running.empty()) {
            if (next < addresses.size()) continue;
            throw failed(where, last_error);
        }
        std::vector<pollfd> fds;
        for (const auto& r : running) fds.push_back({r.fd(), POLLOUT, 0});
        if (next < addresses.size()) {
            if (!wait.within(fds.data(), fds.size(), head_start_ms)) continue;
        } else {
            wait.until(fds.data(), fds.size());
        }
        for (size_t i = fds.size(); i-- > 0;) {
            if (fds[i].revents == 0) continue;
            int e = 0;
            socklen_t size = sizeof e;
            ::getsockopt(running[i].fd(), SOL_SOCKET, SO_ERROR, &e, &size);
            if (e == 0) return running[i].release();
            last_error = e;
            running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
}

}  // namespace https
