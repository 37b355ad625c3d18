// The one pool of worker threads of a process.
#pragma once
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace sg {

// Any thread may submit. Threads start when there is work for them, at most `width`.
class Executor {
public:
    explicit Executor(unsigned width) : width_(width ? width : 1) {}
    ~Executor();  // runs what is queued, then joins
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;

    unsigned width() const { return width_; }
    // False when the pool is ending. `fn` must not throw.
    bool submit(void (*fn)(void*), void* arg);

private:
    void work();

    struct Job {
        void (*fn)(void*);
        void* arg;
    };
    const unsigned width_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> queue_;
    std::vector<std::thread> threads_;
    unsigned idle_ = 0;
    bool ending_ = false;
};

}  // namespace sg
