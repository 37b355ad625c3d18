// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>

#include <family/writeback.hpp>
#include <system_error>

namespace squashfs {

namespace {
constexpr uint64_t step = uint64_t{16} << 20;
}

void begin_writeback(int fd, uint64_t offset, uint64_t size) {
    (void)sync_file_range(fd, static_cast<off_t>(offset), static_cast<off_t>(size), SYNC_FILE_RANGE_WRITE);
}

Writeback::~Writeback() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    change_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void Writeback::until(uint64_t end) {
    {
        const std::lock_guard lock(mutex_);
        if (end < wanted_ + step) return;
        wanted_ = end;
    }
    if (thread_.joinable()) return change_.notify_one();
    try {
        thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {  // no more threads for this user now: the sync at the end does it all
    }
}

void Writeback::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        change_.wait(lock, [&] { return stop_ || asked_ < wanted_; });
        if (stop_) return;
        const uint64_t from = asked_, end = wanted_;
        lock.unlock();
        begin_writeback(fd_, from, end - from);
        lock.lock();
        asked_ = end;
    }
}

}  // namespace squashfs
