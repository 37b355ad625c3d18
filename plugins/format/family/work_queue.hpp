// SPDX-License-Identifier: BSD-3-Clause
/*
 * work_queue.hpp: jobs for several threads: the host's executor, or threads of its own where there is none.
 *
 * A job may run on any thread and in any order; it must not throw and not wait for another one. The
 * thread that fills the queue takes jobs itself (help) instead of waiting for room, so that a full or
 * an ending executor can slow things down but never stop them. Any thread may call any function.
 */
#pragma once
#include <singularity/host.hpp>

#include <memory>
#include <thread>
#include <vector>

namespace squashfs {

class WorkQueue {
public:
    struct Job {
        void (*run)(void* arg);
        void* arg;
    };

    explicit WorkQueue(const singularity::Host& host);
    explicit WorkQueue(unsigned threads);
    // Drops jobs that have not begun and waits for those that have.
    ~WorkQueue();
    WorkQueue(const WorkQueue&) = delete;
    WorkQueue& operator=(const WorkQueue&) = delete;

    void post(Job job);
    // Runs one job in this thread; false when none waits.
    bool help();
    unsigned width() const { return width_; }

private:
    struct Shared;
    void start_threads(unsigned count);

    std::shared_ptr<Shared> shared_;
    std::vector<std::thread> threads_;
    singularity::Host host_;
    bool executor_ = false;
    unsigned width_ = 1;
};

}  // namespace squashfs
