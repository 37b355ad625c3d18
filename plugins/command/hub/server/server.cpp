#include "hub/server/server.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <iostream>
#include <thread>
#include <unordered_map>

#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponseImpl.h>
#include <Poco/Net/HTTPServerSession.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/StreamSocketImpl.h>

#include "hub/server/file_sender.hpp"
#include "hub/server/json_text.hpp"

#include <singularity/error.hpp>

namespace hub {

using Clock = std::chrono::steady_clock;
using singularity::Code;
using singularity::Error;

namespace {

constexpr size_t largest_head = 16 << 10;

class Session : public Poco::Net::HTTPServerSession {
public:
    Session(const Poco::Net::StreamSocket& socket, Poco::Net::HTTPServerParams::Ptr p) : HTTPServerSession(socket, p) {}
    bool has_more() const { return const_cast<Session*>(this)->buffered() > 0; }
};

// The plain end of a connection that TLS carries; to all above it the client's address is what it was.
class RelayedSocket : public Poco::Net::StreamSocketImpl {
public:
    RelayedSocket(int fd, Poco::Net::SocketAddress client, Poco::Net::SocketAddress own) : StreamSocketImpl(fd), client_(std::move(client)), own_(std::move(own)) {}
    Poco::Net::SocketAddress peerAddress() override { return client_; }
    Poco::Net::SocketAddress address() override { return own_; }

private:
    Poco::Net::SocketAddress client_, own_;
};

// What the log says of a request; a file is sent when the request itself has gone.
struct Entry {
    std::string client, user, method, path, agent;
    Clock::time_point begin;
};

struct Connection {
    Poco::Net::StreamSocket socket;
    std::unique_ptr<Session> session;
    Clock::time_point until;
    bool ending = false;  // nothing is to be answered any more, only the client to be waited for
    // The file that is to be sent now, and what is known of its request.
    Reply::Rest rest;
    Entry entry;
    int status = 0;
    bool keep = false;
    int fd() const { return static_cast<int>(socket.impl()->sockfd()); }
};

int status_of(Code code) {
    switch (code) {
        case Code::invalid: case Code::usage: case Code::corrupt: return 400;
        case Code::unauthorized: return 401;
        case Code::permission: return 403;
        case Code::not_found: return 404;
        case Code::exists: return 409;
        case Code::limit: return 413;
        case Code::no_space: return 507;
        case Code::timeout: return 503;
        default: return 500;
    }
}

}  // namespace

struct Server::Inside {
    const Router& router;
    Accounts& accounts;
    ServerOptions options;
    ServerCounts& counts;
    Poco::Net::ServerSocket listener;
    Poco::Net::HTTPServerParams::Ptr params = new Poco::Net::HTTPServerParams;
    int epoll = -1, wake = -1, log = -1, spare = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    size_t most_connections = 512;
    std::unordered_map<int, std::unique_ptr<Connection>> waiting;  // of the waiting thread alone

    std::mutex mutex;  // guards what follows
    std::condition_variable work, idle;
    std::deque<std::unique_ptr<Connection>> ready, answered;
    unsigned threads = 0, free_threads = 0;
    size_t sending = 0;  // files
    bool stopping = false;
    std::unique_ptr<FileSender> sender;

    Inside(const Router& r, Accounts& a, ServerOptions o, ServerCounts& c) : router(r), accounts(a), options(std::move(o)), counts(c) {}
    ~Inside() {
        if (options.tls) options.tls->give_to({});
        for (const int fd : {epoll, wake, log, spare})
            if (fd >= 0) ::close(fd);
    }

    void open() {
        try {
            listener.bind(Poco::Net::SocketAddress(options.host, options.port), true);
            listener.listen(1024);
            listener.setBlocking(false);
        } catch (const Poco::Exception& e) {
            throw Error(Code::network, "cannot listen on " + options.host + ":" + std::to_string(options.port) + ": " + e.displayText(), "another program may listen there: try --listen 127.0.0.1:0");
        }
        rlimit files{};
        if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
            files.rlim_cur = std::min<rlim_t>(files.rlim_max, 65536);
            ::setrlimit(RLIMIT_NOFILE, &files);
            most_connections = files.rlim_cur > 2048 ? files.rlim_cur - 1024 : files.rlim_cur / 2;
            if (options.tls) most_connections /= 3;  // the client's socket and a pair
        }
        params->setKeepAlive(true);
        params->setMaxKeepAliveRequests(0);
        params->setTimeout(Poco::Timespan(options.stall_seconds, 0));
        params->setKeepAliveTimeout(Poco::Timespan(0, 0));
        sender = std::make_unique<FileSender>(options.stall_seconds);
        epoll = ::epoll_create1(EPOLL_CLOEXEC);
        wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (epoll < 0 || wake < 0) throw Error(Code::io, std::string("cannot wait for connections: ") + std::strerror(errno));
        watch(wake, EPOLLIN);
        watch(static_cast<int>(listener.impl()->sockfd()), EPOLLIN);
        log = open_log();
        if (options.tls)
            options.tls->give_to([this](int fd, const Poco::Net::SocketAddress& client) {
                auto c = connected(new RelayedSocket(fd, client, listener.address()));
                if (!c) return;
                const std::scoped_lock lock(mutex);
                if (stopping) return;
                answered.push_back(std::move(c));
                nudge();
            });
    }

    int open_log() const {
        if (options.access_log.empty()) return -1;
        const int fd = ::open(options.access_log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (fd < 0) throw Error(Code::io, "cannot open the log '" + options.access_log + "': " + std::strerror(errno));
        return fd;
    }

    void again(int again_fd) {
        uint64_t count = 0;
        (void)!::read(again_fd, &count, sizeof count);
        try {
            if (const int fd = open_log(); fd >= 0) {
                ::dup3(fd, log, O_CLOEXEC);  // threads that write to it need not be told
                ::close(fd);
            }
            if (options.tls) options.tls->reload();
        } catch (const Error& e) {
            std::cerr << "WARNING: SIGHUP: " << e.message() << ": what there was is used on\n";
        }
    }

    void nudge() const {
        const uint64_t one = 1;
        (void)!::write(wake, &one, sizeof one);
    }

    void watch(int fd, uint32_t events) const {
        epoll_event e{};
        e.events = events;
        e.data.fd = fd;
        if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0) throw Error(Code::io, std::string("cannot wait for a connection: ") + std::strerror(errno));
    }

    void accept_all() {
        for (;;) {
            const int fd = ::accept4(static_cast<int>(listener.impl()->sockfd()), nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
                // Who is not let in must be sent away, or the listener would be ready for ever.
                ::close(spare);
                const int away = ::accept(static_cast<int>(listener.impl()->sockfd()), nullptr, nullptr);
                if (away >= 0) ::close(away);
                spare = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
                if (away >= 0) continue;
            }
            if (fd < 0) return;
            if (options.tls) {
                hand_to_tls(fd);
                continue;
            }
            auto c = connected(new Poco::Net::StreamSocketImpl(fd));
            if (!c || waiting.size() >= most_connections) continue;  // closed with it
            ++counts.connections;
            wait_for(std::move(c));
        }
    }

    std::unique_ptr<Connection> connected(Poco::Net::StreamSocketImpl* socket) const {
        auto c = std::make_unique<Connection>();
        c->socket = Poco::Net::StreamSocket(socket);
        try {
            if (!options.tls) c->socket.setNoDelay(true);
            c->socket.setSendTimeout(Poco::Timespan(options.stall_seconds, 0));
            c->session = std::make_unique<Session>(c->socket, params);
            return c;
        } catch (const Poco::Exception&) {
            return nullptr;
        }
    }

    void hand_to_tls(int fd) {
        sockaddr_storage address{};
        socklen_t size = sizeof address;
        const int one = 1;
        if (options.tls->count() >= most_connections || ::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
            ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) {
            ::close(fd);
            return;
        }
        ++counts.connections;
        options.tls->take(fd, Poco::Net::SocketAddress(reinterpret_cast<sockaddr*>(&address), size));
    }

    void wait_for(std::unique_ptr<Connection> c) {
        c->until = Clock::now() + std::chrono::seconds(options.idle_seconds);
        const int fd = c->fd();
        waiting[fd] = std::move(c);
        watch(fd, EPOLLIN | EPOLLRDHUP | EPOLLET);  // an edge for each arrival; one now when there is something already
    }

    void forget(int fd) {
        ::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr);
        waiting.erase(fd);
    }

    // `ended`: no more will come.
    void arrived(int fd, bool ended) {
        const auto it = waiting.find(fd);
        if (it == waiting.end()) return;
        char head[largest_head];
        const ssize_t n = ::recv(fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) return forget(fd);
        const std::string_view text(head, static_cast<size_t>(n));
        if (text.find("\r\n\r\n") == std::string_view::npos && text.find("\n\n") == std::string_view::npos) {
            if (text.size() < largest_head) return ended ? forget(fd) : void();
            static constexpr std::string_view refusal = "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            (void)::send(fd, refusal.data(), refusal.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            return forget(fd);
        }
        ::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr);
        auto c = std::move(it->second);
        waiting.erase(it);
        const std::scoped_lock lock(mutex);
        to_answer(std::move(c));
    }

    void to_answer(std::unique_ptr<Connection> c) {  // under the lock
        ready.push_back(std::move(c));
        if (free_threads >= ready.size()) return work.notify_one();
        if (threads >= options.threads) return;
        try {
            std::thread([this] { answer_all(); }).detach();
            ++threads;
        } catch (const std::system_error&) {  // those that there are will do
        }
    }

    void answer_all() {
        std::unique_lock lock(mutex);
        for (;;) {
            ++free_threads;
            work.wait(lock, [&] { return !ready.empty() || stopping; });
            --free_threads;
            if (ready.empty()) break;
            auto c = std::move(ready.front());
            ready.pop_front();
            lock.unlock();
            ++counts.busy;
            c = answer(std::move(c));
            --counts.busy;
            lock.lock();
            if (c && !stopping) give_back(std::move(c));
        }
        --threads;
        idle.notify_all();
    }

    void give_back(std::unique_ptr<Connection> c) {  // under the lock
        answered.push_back(std::move(c));
        nudge();
    }

    enum class After { keep, close, gone, send };

    // The connection, when it can be used again.
    std::unique_ptr<Connection> answer(std::unique_ptr<Connection> c) {
        try {
            do {
                const After after = c->ending ? After::close : answer_one(*c);
                if (after == After::gone) return nullptr;  // its socket has another owner
                if (after == After::send) return send_file(std::move(c)), nullptr;
                if (after == After::close) {
                    // Closing with unread bytes would reset the connection, and the client would lose the answer.
                    c->socket.shutdownSend();
                    char rest[4096];
                    c->socket.setReceiveTimeout(Poco::Timespan(1, 0));
                    for (int i = 0; i < 256 && c->socket.receiveBytes(rest, sizeof rest) > 0; ++i) {
                    }
                    return nullptr;
                }
            } while (c->session->has_more());
            return c;
        } catch (const std::exception&) {  // the connection broke
            return nullptr;
        }
    }

    void send_file(std::unique_ptr<Connection> c) {
        SendJob job;
        job.socket = c->fd();
        job.file = c->rest.fd;
        job.at = c->rest.at;
        job.end = c->rest.end;
        const auto size = static_cast<uint64_t>(job.end - job.at);
        // A std::function can be copied, and so must be what it holds.
        const auto held = std::make_shared<std::unique_ptr<Connection>>(std::move(c));
        job.done = [this, held, size](bool whole) {
            auto connection = std::move(*held);
            if (whole) counts.bytes += size;
            note(connection->entry, whole ? connection->status : 499, size);
            const std::scoped_lock lock(mutex);
            --sending;
            if (stopping || !whole) return idle.notify_all();
            connection->ending = !connection->keep;
            if (connection->keep && !connection->session->has_more()) return give_back(std::move(connection));
            to_answer(std::move(connection));
        };
        {
            const std::scoped_lock lock(mutex);
            ++sending;
        }
        sender->add(std::move(job));
    }

    After answer_one(Connection& c) {
        const auto begin = Clock::now();
        Poco::Net::HTTPServerResponseImpl response(*c.session);
        std::unique_ptr<Poco::Net::HTTPServerRequestImpl> http;
        try {
            http = std::make_unique<Poco::Net::HTTPServerRequestImpl>(response, *c.session, params.get());
        } catch (const Poco::Exception&) {
            response.setKeepAlive(false);
            Reply(response, false).error(400, "the request is not well formed");
            return After::close;
        }
        response.setVersion(http->getVersion());
        response.setKeepAlive(http->getKeepAlive());
        response.setDate(Poco::Timestamp());
        Reply reply(response, http->getMethod() == "HEAD");
        Request request{*http, {}, {}, {}, {}, {}, {}, {}, options.stall_seconds};
        const Router::Route* route = nullptr;
        int status = 0;
        std::string problem;
        bool broken = false;
        try {
            try {
                route = &prepare(request, reply);
                if (http->getExpectContinue()) response.sendContinue();
                route->handler(request, reply);
            } catch (const HttpError& e) {
                status = e.status, problem = e.message;
            } catch (const Error& e) {
                status = status_of(e.code());
                problem = status == 507   ? "the hub's disk is full"
                          : status >= 500 ? "the hub failed; its log says why"
                                          : e.message();
                if (status >= 500) std::cerr << "ERROR:   " << http->getMethod() << " " << (route ? route->pattern : "?") << ": " << e.message() << "\n";
            } catch (const Poco::Net::NetException&) {
                throw;
            } catch (const Poco::TimeoutException&) {
                throw;
            } catch (const std::exception& e) {
                status = 500, problem = "the hub failed; its log says why";
                std::cerr << "ERROR:   " << http->getMethod() << " " << (route ? route->pattern : "?") << ": " << e.what() << "\n";
            }
            if (status != 0) {
                // What is left of a body may be much.
                if (http->hasContentLength() ? http->getContentLength64() > 0 : http->getChunkedTransferEncoding()) response.setKeepAlive(false);
                if (!response.sent()) reply.error(status, problem);
                else broken = true;
            }
        } catch (const std::exception&) {
            broken = true;
        }
        if (status == 0) status = response.getStatus();
        ++counts.requests;
        const Entry entry{request.client, request.identity.name, http->getMethod(), route && route->secret ? route->pattern : request.path.substr(0, 1024), http->get("User-Agent", "").substr(0, 200), begin};
        const auto size = response.hasContentLength() ? static_cast<uint64_t>(response.getContentLength64()) : 0;
        if (reply.upgraded()) {
            note(entry, status, size);
            return After::gone;
        }
        // A body that the handler did not need would be read as the next request.
        if (!broken && http->hasContentLength() && response.getKeepAlive()) {
            char rest[4096];
            for (int i = 0; i < 16 && http->stream().read(rest, sizeof rest); ++i) {}
            if (!http->stream().eof()) response.setKeepAlive(false);
        }
        const bool keep = !broken && response.sent() && response.getKeepAlive() && http->getKeepAlive() && !http->getChunkedTransferEncoding();
        if (c.rest = reply.take_rest(); c.rest.fd >= 0 && !broken) {
            c.entry = entry, c.status = status, c.keep = keep;
            return After::send;
        }
        if (c.rest.fd >= 0) ::close(c.rest.fd);
        if (status >= 500) ++counts.failures;
        if (!broken) counts.bytes += size;
        note(entry, broken ? 499 : status, size);
        return keep ? After::keep : After::close;
    }

    const Router::Route& prepare(Request& request, Reply& reply) {
        auto& http = request.http;
        const std::string& uri = http.getURI();
        const size_t question = std::min(uri.find('?'), uri.size());
        const auto parts = path_parts(std::string_view(uri).substr(0, question));
        for (const auto& p : parts) request.path += "/" + p;
        if (request.path.empty()) request.path = "/";
        request.query = query_parts(std::string_view(uri).substr(std::min(question + 1, uri.size())));
        request.client = http.clientAddress().host().toString();
        std::string scheme = options.tls ? "https" : "http";
        if (options.behind_proxy) {
            // The proxy appends what it saw, so the last is the one to believe.
            const std::string forwarded = http.get("X-Forwarded-For", "");
            if (const size_t at = forwarded.find_last_of(", "); !forwarded.empty()) request.client = forwarded.substr(at == std::string::npos ? 0 : at + 1);
            if (http.get("X-Forwarded-Proto", "") == "https") scheme = "https";
        }
        request.base = !options.url.empty() ? options.url : scheme + "://" + http.get("Host", options.host);
        const auto& route = router.find(http.getMethod(), parts, request.arguments);
        identify(request);
        permit(route, request);
        (void)reply;
        return route;
    }

    void identify(Request& request) const {
        const std::string header = request.http.get("Authorization", "");
        if (header.size() > 7 && ::strncasecmp(header.c_str(), "bearer ", 7) == 0) {
            const auto found = accounts.by_token(header.substr(header.find_first_not_of(' ', 6)));
            if (!found) throw HttpError{401, "the token is unknown, or its time is over"};
            request.identity = *found;
            return;
        }
        Poco::Net::NameValueCollection cookies;
        request.http.getCookies(cookies);
        request.cookie = cookies.get("hub_session", "");
        if (request.cookie.empty()) return;
        if (const auto found = accounts.by_session(request.cookie)) request.identity = *found;
        const std::string& method = request.http.getMethod();
        if (request.identity && method != "GET" && method != "HEAD" && request.http.get("X-CSRF-Token", "") != request.identity.csrf)
            throw HttpError{403, "the request lacks the X-CSRF-Token of this session"};
    }

    static void permit(const Router::Route& route, const Request& request) {
        if (route.access == Access::open) return;
        if (!request.identity) throw HttpError{401, "this needs a token"};
        const unsigned scope = route.access == Access::user ? scope_read : route.access == Access::build ? scope_build : scope_write;
        if (!request.identity.may(scope)) throw HttpError{403, "the token lacks the scope '" + scope_text(scope) + "'"};
        if (route.access == Access::admin && !request.identity.admin) throw HttpError{403, "only an administrator may do this"};
    }

    void note(const Entry& e, int status, uint64_t bytes) const {
        if (log < 0) return;
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - e.begin).count();
        const std::string line = JsonObject().add("time", now()).add("client", e.client).add("user", e.user).add("method", e.method).add("path", e.path).add("status", status)
                                     .add("bytes", bytes).add("ms", ms).add("agent", e.agent).text() + "\n";
        (void)!::write(log, line.data(), line.size());
    }

    void run(int stop_fd, int again_fd) {
        for (const int fd : {stop_fd, again_fd})
            if (fd >= 0) watch(fd, EPOLLIN);
        auto next_sweep = Clock::now() + std::chrono::seconds(1);
        const int listening = static_cast<int>(listener.impl()->sockfd());
        for (;;) {
            epoll_event events[256];
            const int n = ::epoll_wait(epoll, events, 256, 1000);
            for (int i = 0; i < n; ++i) {
                const int fd = events[i].data.fd;
                if (fd == stop_fd) return stop();
                if (fd == again_fd) again(fd);
                else if (fd == listening) accept_all();
                else if (fd == wake) take_back();
                else arrived(fd, events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
            }
            if (Clock::now() < next_sweep) continue;
            next_sweep = Clock::now() + std::chrono::seconds(1);
            std::erase_if(waiting, [&](auto& w) { return w.second->until < Clock::now(); });  // closing leaves epoll
        }
    }

    void take_back() {
        uint64_t count = 0;
        (void)!::read(wake, &count, sizeof count);
        std::deque<std::unique_ptr<Connection>> back;
        {
            const std::scoped_lock lock(mutex);
            back.swap(answered);
        }
        for (auto& c : back) wait_for(std::move(c));
    }

    void stop() {
        listener.close();
        waiting.clear();
        std::unique_lock lock(mutex);
        stopping = true;
        work.notify_all();
        if (!idle.wait_for(lock, std::chrono::seconds(30), [&] { return threads == 0 && sending == 0; })) {
            std::cerr << "WARNING: requests that took longer than 30 seconds were broken off\n";
            ::_exit(0);  // their threads use what would be destroyed; what was acknowledged is on the disk
        }
    }
};

Server::Server(const Router& router, Accounts& accounts, ServerOptions options, ServerCounts& counts)
    : inside_(std::make_unique<Inside>(router, accounts, std::move(options), counts)) {
    inside_->open();
}
Server::~Server() = default;
uint16_t Server::port() const { return inside_->listener.address().port(); }
void Server::run(int stop_fd, int again_fd) { inside_->run(stop_fd, again_fd); }

}  // namespace hub
