#include "hub/builder/logs.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <singularity/error.hpp>
#include <thread>
#include <unordered_map>
#include <vector>

#include "hub/server/websocket.hpp"

namespace hub {

using Clock = std::chrono::steady_clock;

namespace {

constexpr size_t most_frame = 16 << 10;
constexpr auto look_every = std::chrono::milliseconds(200);
constexpr auto ping_after = std::chrono::seconds(25), stalled_after = std::chrono::seconds(75);

struct Log {
    int fd = -1;
    size_t viewers = 0;
    uint64_t size = 0;
    bool done = false;
};

struct Viewer {
    int fd = -1;
    std::string id;
    uint64_t at = 0;       // in the log
    std::string out;       // begun to send, not taken by the kernel yet; at most a frame, and short answers
    bool blocked = false;  // until the socket can be written
    bool closing = false;  // a close frame is in `out` or gone
    FrameReader reader;
    Clock::time_point heard, asked;  // asked: by a ping
};

}  // namespace

struct LogViewers::Inside {
    std::function<bool(const std::string&)> is_done;
    int epoll = -1, wake = -1;
    std::mutex mutex;  // guards `arrived`, `stopping`
    std::vector<std::pair<Viewer, std::string>> arrived;
    bool stopping = false;
    std::atomic<size_t> count{0};
    std::unordered_map<int, Viewer> viewers;  // of the thread
    std::map<std::string, Log> logs;
    std::thread thread;

    void run() {
        auto next_look = Clock::now();
        for (;;) {
            epoll_event events[256];
            const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(next_look - Clock::now()).count();
            const int n =
                ::epoll_wait(epoll, events, 256, viewers.empty() ? -1 : static_cast<int>(std::max<int64_t>(wait, 0)));
            for (int i = 0; i < n; ++i) {
                if (events[i].data.fd == wake) {
                    if (!take_in()) return farewell();
                    continue;
                }
                const auto it = viewers.find(events[i].data.fd);
                if (it == viewers.end()) continue;
                auto& v = it->second;
                bool alive = true;
                if (events[i].events & EPOLLOUT) v.blocked = false;
                if (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) alive = hear(v);
                if (!alive || !feed(v)) drop(it);
            }
            if (Clock::now() < next_look) continue;
            next_look = Clock::now() + look_every;
            look();
        }
    }

    bool take_in() {
        uint64_t value = 0;
        (void)!::read(wake, &value, sizeof value);
        std::vector<std::pair<Viewer, std::string>> now;
        {
            const std::scoped_lock lock(mutex);
            if (stopping) return false;
            now.swap(arrived);
        }
        for (auto& [viewer, file] : now) {
            auto& log = logs[viewer.id];
            if (log.viewers++ == 0) log.fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
            viewer.heard = viewer.asked = Clock::now();
            const int fd = viewer.fd;
            const auto it = viewers.emplace(fd, std::move(viewer)).first;
            epoll_event e{};
            e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
            e.data.fd = fd;
            refresh(it->second.id, log);
            if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0 || !feed(it->second)) drop(it);
        }
        return true;
    }

    void refresh(const std::string& id, Log& log) const {
        if (log.done) return;
        bool done = false;  // asked before the size is read, so that the size is the last one
        try {
            done = is_done(id);
        } catch (const std::exception&) {  // asked again
        }
        struct stat s {};
        if (log.fd >= 0 && ::fstat(log.fd, &s) == 0) log.size = static_cast<uint64_t>(s.st_size);
        log.done = done;
    }

    void look() {
        for (auto& [id, log] : logs) refresh(id, log);
        const auto time = Clock::now();
        for (auto it = viewers.begin(); it != viewers.end();) {
            const auto now = it++;
            auto& v = now->second;
            bool alive = time - v.heard < stalled_after;
            if (alive && !v.closing && v.out.empty() && time - std::max(v.heard, v.asked) > ping_after) {
                v.out = websocket_frame(Opcode::ping, {});
                v.asked = time;
            }
            if (!alive || !feed(v)) drop(now);
        }
    }

    // False when the connection is to be closed.
    bool feed(Viewer& v) {
        auto& log = logs.at(v.id);
        for (;;) {
            while (!v.out.empty()) {
                if (v.blocked) return true;
                const ssize_t n = ::send(v.fd, v.out.data(), v.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR) continue;
                if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return v.blocked = true;
                if (n <= 0) return false;
                v.out.erase(0, static_cast<size_t>(n));
            }
            if (v.closing) return true;  // until the client closes too, or is silent for too long
            if (v.at >= log.size) {
                if (!log.done) return true;
                close(v, 1000);
                continue;
            }
            char buffer[most_frame];
            const ssize_t n =
                ::pread(log.fd, buffer, static_cast<size_t>(std::min<uint64_t>(sizeof buffer, log.size - v.at)),
                        static_cast<off_t>(v.at));
            if (n <= 0) {
                close(v, 1011);
                continue;
            }
            size_t taken = 0;
            const std::string text = valid_utf8({buffer, static_cast<size_t>(n)},
                                                log.done && v.at + static_cast<uint64_t>(n) == log.size, taken);
            if (taken == 0) return true;  // the rest of a character is not there yet
            v.at += taken;
            v.out = websocket_frame(Opcode::text, text);
        }
    }

    static void close(Viewer& v, uint16_t code) {
        v.out += websocket_close(code);
        v.closing = true;
        // A client has 10 s to answer a close.
        v.heard = std::min(v.heard, Clock::now() - stalled_after + std::chrono::seconds(10));
    }

    bool hear(Viewer& v) {
        for (char buffer[4096];;) {
            const ssize_t n = ::recv(v.fd, buffer, sizeof buffer, MSG_DONTWAIT);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
            if (n <= 0) return false;
            if (!v.closing) v.heard = Clock::now();
            std::string_view bytes(buffer, static_cast<size_t>(n));
            try {
                while (const auto control = v.reader.take(bytes)) {
                    if (control->opcode == Opcode::close) {
                        if (v.closing) return false;
                        v.out += websocket_frame(Opcode::close, std::string_view(control->payload).substr(0, 2));
                        v.closing = true;
                        (void)feed(v);
                        return false;
                    }
                    // Who asks faster than it reads gets no more answers.
                    if (control->opcode == Opcode::ping && !v.closing && v.out.size() < 2 * most_frame)
                        v.out += websocket_frame(Opcode::pong, control->payload);
                }
            } catch (uint16_t code) {
                if (v.closing) return false;
                close(v, code);
                (void)feed(v);
                return false;
            }
        }
    }

    void drop(std::unordered_map<int, Viewer>::iterator it) {
        ::shutdown(it->second.fd, SHUT_WR);
        ::close(it->second.fd);
        const auto log = logs.find(it->second.id);
        if (--log->second.viewers == 0) {
            if (log->second.fd >= 0) ::close(log->second.fd);
            logs.erase(log);
        }
        viewers.erase(it);
        --count;
    }

    void farewell() {
        while (!viewers.empty()) {
            auto& v = viewers.begin()->second;
            if (!v.closing) close(v, 1001), (void)feed(v);
            drop(viewers.begin());
        }
    }
};

LogViewers::LogViewers(std::function<bool(const std::string&)> done) : inside_(std::make_unique<Inside>()) {
    auto& in = *inside_;
    in.is_done = std::move(done);
    in.epoll = ::epoll_create1(EPOLL_CLOEXEC);
    in.wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    epoll_event e{};
    e.events = EPOLLIN;
    e.data.fd = in.wake;
    if (in.epoll < 0 || in.wake < 0 || ::epoll_ctl(in.epoll, EPOLL_CTL_ADD, in.wake, &e) != 0)
        throw singularity::Error(singularity::Code::io,
                                 std::string("cannot wait for viewers of logs: ") + std::strerror(errno));
    in.thread = std::thread([&in] { in.run(); });
}

LogViewers::~LogViewers() {
    auto& in = *inside_;
    {
        const std::scoped_lock lock(in.mutex);
        in.stopping = true;
    }
    const uint64_t one = 1;
    (void)!::write(in.wake, &one, sizeof one);
    in.thread.join();
    for (auto& [viewer, file] : in.arrived) ::close(viewer.fd);
    ::close(in.wake);
    ::close(in.epoll);
}

void LogViewers::add(int fd, const std::string& id, const std::string& file) {
    auto& in = *inside_;
    Viewer viewer;
    viewer.fd = fd;
    viewer.id = id;
    {
        const std::scoped_lock lock(in.mutex);
        in.arrived.emplace_back(std::move(viewer), file);
        ++in.count;
    }
    const uint64_t one = 1;
    (void)!::write(in.wake, &one, sizeof one);
}

size_t LogViewers::count() const { return inside_->count; }

}  // namespace hub
