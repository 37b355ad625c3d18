#include "hub/server/tls.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <singularity/error.hpp>
#include <thread>
#include <unordered_map>
#include <vector>

namespace hub {

using Clock = std::chrono::steady_clock;
using singularity::Code;
using singularity::Error;

namespace {

constexpr auto forever = Clock::time_point::max();
constexpr auto farewell = std::chrono::seconds(2), last_farewell = std::chrono::seconds(5);
constexpr int turns = 32;  // of a link, before others have theirs

std::string openssl_reason() {
    const unsigned long code = ERR_peek_last_error();
    const char* reason = code ? ERR_reason_error_string(code) : nullptr;
    ERR_clear_error();
    return reason ? reason : "it cannot be used";
}

using Context = std::shared_ptr<SSL_CTX>;

int choose_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned in_size,
                    void*) {
    static constexpr unsigned char ours[] = "\x08http/1.1";
    unsigned char* found = nullptr;
    if (SSL_select_next_proto(&found, size, ours, sizeof ours - 1, in, in_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = found;
    return SSL_TLSEXT_ERR_OK;
}

Context load(const TlsOptions& options) {
    for (const auto& [what, file] : {std::pair{"certificate", options.certificate}, {"key", options.key}})
        if (const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC); fd < 0)
            throw Error(errno == ENOENT ? Code::not_found : Code::io,
                        std::string("cannot read the TLS ") + what + " '" + file + "': " + std::strerror(errno));
        else
            ::close(fd);
    const Context c(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
    if (!c) throw Error(Code::internal, "TLS cannot be had: " + openssl_reason());
    SSL_CTX_set_min_proto_version(c.get(), TLS1_2_VERSION);
    SSL_CTX_set_mode(c.get(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    // Bodies have lengths, so a connection that ends without TLS's farewell cuts nothing off unseen.
    SSL_CTX_set_options(c.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_alpn_select_cb(c.get(), choose_protocol, nullptr);
    // Nobody is asked for a passphrase.
    SSL_CTX_set_default_passwd_cb(c.get(), [](char*, int, int, void*) { return 0; });
    if (SSL_CTX_use_certificate_chain_file(c.get(), options.certificate.c_str()) != 1)
        throw Error(Code::invalid, "'" + options.certificate + "' is no TLS certificate: " + openssl_reason(),
                    "It is a PEM file: the hub's own certificate first, then those that lead to the authority.");
    if (SSL_CTX_use_PrivateKey_file(c.get(), options.key.c_str(), SSL_FILETYPE_PEM) != 1)
        throw Error(Code::invalid,
                    "'" + options.key + "' is no key to '" + options.certificate + "': " + openssl_reason(),
                    "It is a PEM file with the certificate's own key, without a passphrase.");
    return c;
}

void close_fd(int fd) {
    if (fd >= 0) ::close(fd);
}

struct Link {
    int client, plain = -1;
    SSL* ssl;
    Poco::Net::SocketAddress address;
    std::string up, down;  // plain bytes that one side has given and the other not taken
    bool open = false;     // the handshake is done
    bool client_ended = false, server_ended = false, up_shut = false, down_shut = false;
    Clock::time_point until;

    Link(int fd, SSL* s, Poco::Net::SocketAddress a) : client(fd), ssl(s), address(std::move(a)) {}
    Link(const Link&) = delete;
    ~Link() {
        SSL_free(ssl);
        close_fd(client);
        close_fd(plain);
    }
};

enum class Next { wait, again, drop };

}  // namespace

struct TlsFront::Inside {
    TlsOptions options;
    std::mutex mutex;  // guards `context`, `arrived`
    Context context;
    Arrived arrived;
    std::atomic<size_t> count{0}, next{0};
    std::atomic<bool> stopping{false};

    // One thread and its links.
    struct Worker {
        Inside& in;
        int epoll = ::epoll_create1(EPOLL_CLOEXEC), wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        std::mutex mutex;  // guards `inbox`
        std::vector<std::pair<int, Poco::Net::SocketAddress>> inbox;
        std::unordered_map<int, std::unique_ptr<Link>> links;  // by the client's socket
        std::unordered_map<int, int> clients;                  // of our plain ends
        std::vector<char> scratch = std::vector<char>(64 << 10);
        std::thread thread;

        explicit Worker(Inside& i) : in(i) {
            if (epoll < 0 || wake < 0 || !watch(wake, EPOLLIN))
                throw Error(Code::io, std::string("cannot wait for connections: ") + std::strerror(errno));
            thread = std::thread([this] { run(); });
        }
        ~Worker() {
            nudge();
            thread.join();
            for (auto& [fd, address] : inbox) close_fd(fd), --in.count;
            in.count -= links.size();
            close_fd(epoll);
            close_fd(wake);
        }
        bool watch(int fd, uint32_t events) const {
            epoll_event e{};
            e.events = events;
            e.data.fd = fd;
            return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0;
        }
        void nudge() const {
            const uint64_t one = 1;
            (void)!::write(wake, &one, sizeof one);
        }

        void run() {
            std::vector<int> busy, again;  // clients that have more to do
            auto next_sweep = Clock::now();
            auto end = forever;
            for (;;) {
                epoll_event events[256];
                const int n = ::epoll_wait(epoll, events, 256, busy.empty() ? 250 : 0);
                for (int i = 0; i < n; ++i) {
                    const int fd = events[i].data.fd;
                    if (fd == wake)
                        take_in(busy);
                    else if (const auto it = clients.find(fd); it != clients.end())
                        busy.push_back(it->second);
                    else
                        busy.push_back(fd);
                }
                std::sort(busy.begin(), busy.end());
                busy.erase(std::unique(busy.begin(), busy.end()), busy.end());
                again.clear();
                for (const int fd : busy) {
                    const auto it = links.find(fd);
                    if (it == links.end()) continue;
                    const Next next = carry(*it->second);
                    if (next == Next::again) again.push_back(fd);
                    if (next == Next::drop) drop(it);
                }
                busy.swap(again);
                const auto time = Clock::now();
                if (in.stopping && end == forever) end = time + last_farewell;
                if (in.stopping && (time >= end || !something_to_say())) return;
                if (time < next_sweep) continue;
                next_sweep = time + std::chrono::milliseconds(500);
                for (auto it = links.begin(); it != links.end();) {
                    const auto now = it++;
                    if (now->second->until < time) drop(now);
                }
            }
        }

        bool something_to_say() const {
            return std::any_of(links.begin(), links.end(),
                               [](const auto& l) { return l.second->open && !l.second->down_shut; });
        }

        void take_in(std::vector<int>& busy) {
            uint64_t value = 0;
            (void)!::read(wake, &value, sizeof value);
            std::vector<std::pair<int, Poco::Net::SocketAddress>> now;
            {
                const std::scoped_lock lock(mutex);
                now.swap(inbox);
            }
            Context context;
            {
                const std::scoped_lock lock(in.mutex);
                context = in.context;
            }
            for (auto& [fd, address] : now) {
                SSL* ssl = SSL_new(context.get());
                auto link = std::make_unique<Link>(fd, ssl, address);
                link->until = Clock::now() + std::chrono::seconds(in.options.handshake_seconds);
                if (!ssl || SSL_set_fd(ssl, fd) != 1 || !watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)) {
                    --in.count;
                    continue;
                }
                SSL_set_accept_state(ssl);
                links[fd] = std::move(link);
                busy.push_back(fd);
            }
        }

        void drop(std::unordered_map<int, std::unique_ptr<Link>>::iterator it) {
            clients.erase(it->second->plain);
            links.erase(it);  // closing leaves epoll
            --in.count;
        }

        Next carry(Link& l) {
            for (int i = 0; i < turns; ++i) {
                if (!l.open) {
                    const Next next = shake_hands(l);
                    if (next != Next::again) return next;
                    continue;
                }
                bool moved = false;
                if (!upwards(l, moved) || !downwards(l, moved)) return Next::drop;
                if (!moved) return Next::wait;
            }
            return Next::again;
        }

        // again: it is done.
        Next shake_hands(Link& l) {
            ERR_clear_error();
            const int n = SSL_accept(l.ssl);
            if (n != 1) {
                const int why = SSL_get_error(l.ssl, n);
                if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return Next::wait;
                if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST) {
                    static constexpr std::string_view refusal =
                        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 34\r\nConnection: "
                        "close\r\n\r\nThis hub speaks TLS: use https://\n";
                    (void)::send(l.client, refusal.data(), refusal.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
                    return linger(l);
                }
                ERR_clear_error();
                return Next::drop;
            }
            int ends[2];
            if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return Next::drop;
            l.plain = ends[0];
            if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 ||
                !watch(ends[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)) {
                ::close(ends[1]);
                return Next::drop;
            }
            clients[ends[0]] = l.client;
            l.open = true;
            l.until = forever;
            const std::scoped_lock lock(in.mutex);
            if (!in.arrived) {
                ::close(ends[1]);
                return Next::drop;
            }
            in.arrived(ends[1], l.address);
            return Next::again;
        }

        // A refusal before the handshake: what the client still sends is not read, so it is given time to read.
        static Next linger(Link& l) {
            char rest[4096];
            while (::recv(l.client, rest, sizeof rest, MSG_DONTWAIT) > 0) {
            }
            ::shutdown(l.client, SHUT_WR);
            return Next::drop;
        }

        // From the client to the server. False when the connection broke.
        bool upwards(Link& l, bool& moved) {
            if (l.up.empty() && !l.client_ended) {
                ERR_clear_error();
                const int n = SSL_read(l.ssl, scratch.data(), static_cast<int>(scratch.size()));
                if (n > 0) {
                    moved = true;
                    if (!l.up_shut) l.up.assign(scratch.data(), static_cast<size_t>(n));
                } else if (const int why = SSL_get_error(l.ssl, n); why == SSL_ERROR_ZERO_RETURN) {
                    l.client_ended = moved = true;
                } else if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
                    ERR_clear_error();
                    return false;
                }
            }
            if (!l.up.empty()) {
                const ssize_t n = ::send(l.plain, l.up.data(), l.up.size(), MSG_NOSIGNAL);
                if (n > 0) {
                    moved = true;
                    l.up.erase(0, static_cast<size_t>(n));
                } else if (errno != EAGAIN && errno != EINTR) {  // the server reads no more: it has answered, perhaps
                    l.up_shut = moved = true;
                    l.up.clear();
                }
            }
            if (l.client_ended && l.up.empty() && !l.up_shut) {
                ::shutdown(l.plain, SHUT_WR);
                l.up_shut = moved = true;
            }
            return !(l.client_ended && l.down_shut);
        }

        // From the server to the client.
        bool downwards(Link& l, bool& moved) {
            const char* bytes = l.down.data();
            size_t size = l.down.size();
            if (size == 0 && !l.server_ended) {
                const ssize_t n = ::recv(l.plain, scratch.data(), scratch.size(), 0);
                if (n > 0) {
                    bytes = scratch.data();
                    size = static_cast<size_t>(n);
                    moved = true;
                } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
                    l.server_ended = moved = true;
                }
            }
            size_t done = 0;
            while (done < size) {
                ERR_clear_error();
                const int n = SSL_write(l.ssl, bytes + done, static_cast<int>(size - done));
                if (n > 0) {
                    done += static_cast<size_t>(n);
                    moved = true;
                    continue;
                }
                const int why = SSL_get_error(l.ssl, n);
                if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) break;
                ERR_clear_error();
                return false;
            }
            if (bytes == scratch.data())
                l.down.assign(bytes + done, size - done);
            else
                l.down.erase(0, done);
            if (l.server_ended && !l.down_shut) {
                // The server's own limits are over with its end; a client that takes nothing must not stay for ever.
                if (l.until == forever || done > 0)
                    l.until = Clock::now() + std::chrono::seconds(in.options.stall_seconds);
                if (l.down.empty()) {
                    (void)SSL_shutdown(l.ssl);
                    ERR_clear_error();
                    ::shutdown(l.client, SHUT_WR);
                    l.down_shut = moved = true;
                    l.until = Clock::now() + farewell;
                }
            }
            return !(l.client_ended && l.down_shut);
        }
    };
    std::vector<std::unique_ptr<Worker>> workers;
};

TlsFront::TlsFront(TlsOptions options) : inside_(std::make_unique<Inside>()) {
    auto& in = *inside_;
    in.options = std::move(options);
    in.context = load(in.options);
    const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 1U, 16U);
    for (unsigned i = 0; i < threads; ++i) in.workers.push_back(std::make_unique<Inside::Worker>(in));
}

TlsFront::~TlsFront() {
    inside_->stopping = true;
    for (const auto& worker : inside_->workers) worker->nudge();
}

void TlsFront::reload() {
    auto context = load(inside_->options);
    const std::scoped_lock lock(inside_->mutex);
    inside_->context = std::move(context);
}

void TlsFront::give_to(Arrived arrived) {
    const std::scoped_lock lock(inside_->mutex);
    inside_->arrived = std::move(arrived);
}

void TlsFront::take(int fd, const Poco::Net::SocketAddress& client) {
    auto& in = *inside_;
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    ++in.count;
    auto& worker = *in.workers[in.next++ % in.workers.size()];
    {
        const std::scoped_lock lock(worker.mutex);
        worker.inbox.emplace_back(fd, client);
    }
    worker.nudge();
}

size_t TlsFront::count() const { return inside_->count; }

}  // namespace hub
