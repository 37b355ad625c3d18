// SPDX-License-Identifier: BSD-3-Clause
#include <family/work_queue.hpp>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

namespace squashfs {

// Outlives the queue: tickets that the executor runs late find it empty.
struct WorkQueue::Shared {
    std::mutex mutex;
    std::condition_variable work, idle;
    std::deque<Job> jobs;
    unsigned running = 0;
    bool ended = false;

    std::optional<Job> take(std::unique_lock<std::mutex>&) {
        if (jobs.empty()) return std::nullopt;
        const Job job = jobs.front();
        jobs.pop_front();
        ++running;
        return job;
    }
    void run(const Job& job, std::unique_lock<std::mutex>& lock) {
        lock.unlock();
        job.run(job.arg);
        lock.lock();
        if (--running == 0 && ended) idle.notify_all();
    }
    bool run_one() {
        std::unique_lock lock(mutex);
        const auto job = take(lock);
        if (!job) return false;
        run(*job, lock);
        return true;
    }
    void serve() {
        std::unique_lock lock(mutex);
        for (;;) {
            work.wait(lock, [&] { return ended || !jobs.empty(); });
            if (ended) return;
            if (const auto job = take(lock)) run(*job, lock);
        }
    }
};

WorkQueue::WorkQueue(const singularity::Host& host)
    : shared_(std::make_shared<Shared>()),
      host_(host),
      executor_(singularity::detail::host_table<sg_host_executor_v1>("executor") != nullptr) {
    if (executor_)
        width_ = std::max(1u, host.width());
    else
        start_threads(std::max(1u, std::thread::hardware_concurrency()));
}

WorkQueue::WorkQueue(unsigned threads) : shared_(std::make_shared<Shared>()) { start_threads(threads); }

void WorkQueue::start_threads(unsigned count) {
    width_ = std::max(1u, count);
    for (unsigned i = 0; i < count; ++i) threads_.emplace_back([shared = shared_] { shared->serve(); });
}

WorkQueue::~WorkQueue() {
    {
        std::unique_lock lock(shared_->mutex);
        shared_->ended = true;
        shared_->jobs.clear();
        shared_->work.notify_all();
        shared_->idle.wait(lock, [&] { return shared_->running == 0; });
    }
    for (auto& t : threads_) t.join();
}

void WorkQueue::post(Job job) {
    {
        std::lock_guard lock(shared_->mutex);
        shared_->jobs.push_back(job);
    }
    if (!executor_) {
        shared_->work.notify_one();
        return;
    }
    // One ticket per job: the executor stays fair to its other users.
    auto* ticket = new std::shared_ptr<Shared>(shared_);
    try {
        host_.submit(
            [](void* arg) {
                const std::unique_ptr<std::shared_ptr<Shared>> mine(static_cast<std::shared_ptr<Shared>*>(arg));
                (*mine)->run_one();
            },
            ticket);
    } catch (...) {
        delete ticket;  // the executor is ending; whoever waits for this job helps
    }
}

bool WorkQueue::help() { return shared_->run_one(); }

}  // namespace squashfs
