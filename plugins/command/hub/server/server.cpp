#include "hub/server/server.hpp"

#include <fcntl.h>
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

struct Connection {
    Poco::Net::StreamSocket socket;
    std::unique_ptr<Session> session;
    Clock::time_point until;
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
    int epoll = -1, wake = -1, log = -1;
    size_t most_connections = 512;
    std::unordered_map<int, std::unique_ptr<Connection>> waiting;  // of the waiting thread alone

    std::mutex mutex;  // guards what follows
    std::condition_variable work, idle;
    std::deque<std::unique_ptr<Connection>> ready, answered;
    unsigned threads = 0, free_threads = 0;
    bool stopping = false;

    Inside(const Router& r, Accounts& a, ServerOptions o, ServerCounts& c) : router(r), accounts(a), options(std::move(o)), counts(c) {}
    ~Inside() {
        for (const int fd : {epoll, wake, log})
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
        }
        params->setKeepAlive(true);
        params->setMaxKeepAliveRequests(0);
        params->setTimeout(Poco::Timespan(options.stall_seconds, 0));
        params->setKeepAliveTimeout(Poco::Timespan(0, 0));
        epoll = ::epoll_create1(EPOLL_CLOEXEC);
        wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (epoll < 0 || wake < 0) throw Error(Code::io, std::string("cannot wait for connections: ") + std::strerror(errno));
        watch(wake, EPOLLIN);
        watch(static_cast<int>(listener.impl()->sockfd()), EPOLLIN);
        if (!options.access_log.empty()) {
            log = ::open(options.access_log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
            if (log < 0) throw Error(Code::io, "cannot open the log '" + options.access_log + "': " + std::strerror(errno));
        }
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
            if (fd < 0) return;
            auto c = std::make_unique<Connection>();
            c->socket = Poco::Net::StreamSocket(new Poco::Net::StreamSocketImpl(fd));
            if (waiting.size() >= most_connections) continue;  // closed with it
            try {
                c->socket.setNoDelay(true);
                c->socket.setSendTimeout(Poco::Timespan(options.stall_seconds, 0));
                c->session = std::make_unique<Session>(c->socket, params);
            } catch (const Poco::Exception&) {
                continue;
            }
            ++counts.connections;
            wait_for(std::move(c));
        }
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

    void arrived(int fd) {
        const auto it = waiting.find(fd);
        if (it == waiting.end()) return;
        char head[largest_head];
        const ssize_t n = ::recv(fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) return forget(fd);
        const std::string_view text(head, static_cast<size_t>(n));
        if (text.find("\r\n\r\n") == std::string_view::npos && text.find("\n\n") == std::string_view::npos) {
            if (text.size() < largest_head) return;
            static constexpr std::string_view refusal = "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            (void)::send(fd, refusal.data(), refusal.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            return forget(fd);
        }
        ::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr);
        auto c = std::move(it->second);
        waiting.erase(it);
        const std::scoped_lock lock(mutex);
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
            const bool keep = answer(*c);
            --counts.busy;
            lock.lock();
            if (keep && !stopping) {
                answered.push_back(std::move(c));
                const uint64_t one = 1;
                (void)!::write(wake, &one, sizeof one);
            }
        }
        --threads;
        idle.notify_all();
    }

    enum class After { keep, close, gone };

    // Whether the connection can be used again.
    bool answer(Connection& c) {
        try {
            do {
                const After after = answer_one(c);
                if (after == After::gone) return false;  // its socket has another owner
                if (after == After::close) {
                    // Closing with unread bytes would reset the connection, and the client would lose the answer.
                    c.socket.shutdownSend();
                    char rest[4096];
                    c.socket.setReceiveTimeout(Poco::Timespan(1, 0));
                    for (int i = 0; i < 256 && c.socket.receiveBytes(rest, sizeof rest) > 0; ++i) {}
                    return false;
                }
            } while (c.session->has_more());
            return true;
        } catch (const std::exception&) {  // the connection broke
            return false;
        }
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
        Request request{*http, {}, {}, {}, {}, {}, {}, {}};
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
                status = status_of(e.code()), problem = status >= 500 ? "the hub failed; its log says why" : e.message();
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
        if (reply.upgraded()) {
            ++counts.requests;
            note(request, route, status, response, begin);
            return After::gone;
        }
        // A body that the handler did not need would be read as the next request.
        if (!broken && http->hasContentLength() && response.getKeepAlive()) {
            char rest[4096];
            for (int i = 0; i < 16 && http->stream().read(rest, sizeof rest); ++i) {}
            if (!http->stream().eof()) response.setKeepAlive(false);
        }
        ++counts.requests;
        if (status >= 500) ++counts.failures;
        if (!broken && response.hasContentLength()) counts.bytes += static_cast<uint64_t>(response.getContentLength64());
        note(request, route, broken ? 499 : status, response, begin);
        return !broken && response.sent() && response.getKeepAlive() && http->getKeepAlive() && !http->getChunkedTransferEncoding() ? After::keep : After::close;
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
        std::string scheme = "http";
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

    void note(const Request& request, const Router::Route* route, int status, const Poco::Net::HTTPResponse& response, Clock::time_point begin) {
        if (log < 0) return;
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
        const std::string line = JsonObject()
                                     .add("time", now()).add("client", request.client).add("user", request.identity.name)
                                     .add("method", request.http.getMethod()).add("path", route && route->secret ? route->pattern : request.path.substr(0, 1024))
                                     .add("status", status).add("bytes", static_cast<int64_t>(response.hasContentLength() ? response.getContentLength64() : 0))
                                     .add("ms", ms).add("agent", request.http.get("User-Agent", "").substr(0, 200)).text() + "\n";
        (void)!::write(log, line.data(), line.size());
    }

    void run(int stop_fd) {
        if (stop_fd >= 0) watch(stop_fd, EPOLLIN);
        auto next_sweep = Clock::now() + std::chrono::seconds(1);
        const int listening = static_cast<int>(listener.impl()->sockfd());
        for (;;) {
            epoll_event events[256];
            const int n = ::epoll_wait(epoll, events, 256, 1000);
            for (int i = 0; i < n; ++i) {
                const int fd = events[i].data.fd;
                if (fd == stop_fd) return stop();
                if (fd == listening) accept_all();
                else if (fd == wake) take_back();
                else arrived(fd);
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
        if (!idle.wait_for(lock, std::chrono::seconds(30), [&] { return threads == 0; })) {
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
void Server::run(int stop_fd) { inside_->run(stop_fd); }

}  // namespace hub
