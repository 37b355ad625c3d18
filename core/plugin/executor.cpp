#include "plugin/executor.hpp"

#include <signal.h>

#include <system_error>

namespace sg {

Executor::~Executor() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    wake_.notify_all();
    for (auto& t : threads_) t.join();
}

bool Executor::submit(void (*fn)(void*), void* arg) {
    const std::lock_guard lock(mutex_);
    if (ending_) return false;
    queue_.push_back({fn, arg});
    if (idle_ < queue_.size() && threads_.size() < width_) {
        // Signals of the user go to the main thread.
        sigset_t all, old;
        sigfillset(&all);
        for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&all, crash);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        try {
            threads_.emplace_back([this] { work(); });
        } catch (const std::system_error&) {
            // A limit on threads: those that exist do the work, unless there is none.
            if (threads_.empty()) {
                pthread_sigmask(SIG_SETMASK, &old, nullptr);
                queue_.pop_back();
                return false;
            }
        }
        pthread_sigmask(SIG_SETMASK, &old, nullptr);
    }
    wake_.notify_one();
    return true;
}

void Executor::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        ++idle_;
        wake_.wait(lock, [this] { return ending_ || !queue_.empty(); });
        --idle_;
        if (queue_.empty()) return;
        const Job job = queue_.front();
        queue_.pop_front();
        lock.unlock();
        job.fn(job.arg);
        lock.lock();
    }
}

}  // namespace sg
