#include "hub/server/file_sender.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
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
#include <utility>
#include <vector>

namespace hub {

using Clock = std::chrono::steady_clock;
using singularity::Code;
using singularity::Error;

namespace {

constexpr size_t piece = 1 << 20;

void set_blocking(int fd, bool blocking) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags >= 0) ::fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

struct Sending {
    SendJob job;
    Clock::time_point until;
};

}  // namespace

struct FileSender::Inside {
    std::chrono::seconds stall;
    std::atomic<bool> stopping{false};
    std::atomic<size_t> next{0};

    struct Worker {
        Inside& in;
        int epoll = ::epoll_create1(EPOLL_CLOEXEC), wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        std::mutex mutex;  // guards `inbox`
        std::vector<SendJob> inbox;
        std::unordered_map<int, Sending> jobs;  // by socket; of the thread alone
        std::thread thread;

        explicit Worker(Inside& i) : in(i) {
            epoll_event e{};
            e.events = EPOLLIN;
            e.data.fd = wake;
            if (epoll < 0 || wake < 0 || ::epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &e) != 0)
                throw Error(Code::io, std::string("cannot wait for clients: ") + std::strerror(errno));
            thread = std::thread([this] { run(); });
        }
        ~Worker() {
            nudge();
            thread.join();
            for (auto& job : inbox) ::close(job.file);
            for (auto& [socket, sending] : jobs) ::close(sending.job.file);
            ::close(epoll);
            ::close(wake);
        }
        void nudge() const {
            const uint64_t one = 1;
            (void)!::write(wake, &one, sizeof one);
        }

        void run() {
            auto next_sweep = Clock::now();
            while (!in.stopping) {
                epoll_event events[64];
                const int n = ::epoll_wait(epoll, events, 64, jobs.empty() ? -1 : 1000);
                for (int i = 0; i < n; ++i) {
                    if (events[i].data.fd == wake)
                        take_in();
                    else if (const auto it = jobs.find(events[i].data.fd); it != jobs.end())
                        go_on(it);
                }
                const auto time = Clock::now();
                if (time < next_sweep) continue;
                next_sweep = time + std::chrono::seconds(1);
                for (auto it = jobs.begin(); it != jobs.end();) {
                    const auto now = it++;
                    if (now->second.until < time) end(now, false);
                }
            }
        }

        void take_in() {
            uint64_t value = 0;
            (void)!::read(wake, &value, sizeof value);
            std::vector<SendJob> now;
            {
                const std::scoped_lock lock(mutex);
                now.swap(inbox);
            }
            for (auto& job : now) {
                const int socket = job.socket;
                set_blocking(socket, false);
                const auto it = jobs.emplace(socket, Sending{std::move(job), Clock::now() + in.stall}).first;
                epoll_event e{};
                e.events = EPOLLOUT;
                e.data.fd = socket;
                if (::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &e) != 0) end(it, false);
            }
        }

        void go_on(std::unordered_map<int, Sending>::iterator it) {
            SendJob& job = it->second.job;
            const auto size = std::min(static_cast<size_t>(job.end - job.at), piece);
            const ssize_t n = ::sendfile(job.socket, job.file, &job.at, size);
            if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
            if (n <= 0) return end(it, false);  // the client has gone, or the file is shorter than it was
            if (job.at >= job.end) return end(it, true);
            it->second.until = Clock::now() + in.stall;
        }

        void end(std::unordered_map<int, Sending>::iterator it, bool whole) {
            const SendJob job = std::move(it->second.job);
            jobs.erase(it);
            ::epoll_ctl(epoll, EPOLL_CTL_DEL, job.socket, nullptr);
            ::close(job.file);
            set_blocking(job.socket, true);
            job.done(whole);
        }
    };
    std::vector<std::unique_ptr<Worker>> workers;
};

FileSender::FileSender(int stall_seconds) : inside_(std::make_unique<Inside>()) {
    inside_->stall = std::chrono::seconds(stall_seconds);
    // A page that is not in memory is waited for: others must not wait with it.
    const unsigned threads = std::clamp(2 * std::thread::hardware_concurrency(), 4U, 16U);
    for (unsigned i = 0; i < threads; ++i) inside_->workers.push_back(std::make_unique<Inside::Worker>(*inside_));
}

FileSender::~FileSender() {
    inside_->stopping = true;
    for (const auto& worker : inside_->workers) worker->nudge();
}

void FileSender::add(SendJob job) {
    auto& worker = *inside_->workers[inside_->next++ % inside_->workers.size()];
    {
        const std::scoped_lock lock(worker.mutex);
        worker.inbox.push_back(std::move(job));
    }
    worker.nudge();
}

}  // namespace hub
