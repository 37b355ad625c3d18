// SPDX-License-Identifier: BSD-3-Clause
/*
 * writeback.hpp: the disk begins while an image is still being made. Without it the kernel keeps most of an image in
 * memory until the sync at its end. Asking for it can take as long as the disk is behind, so a thread of its own does.
 */
#pragma once
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace squashfs {

class Writeback {
public:
    explicit Writeback(int fd) : fd_(fd) {}  // which must stay open as long
    ~Writeback();
    Writeback(const Writeback&) = delete;
    Writeback& operator=(const Writeback&) = delete;

    // All below `end` is written and may go to the disk. Never waits for it.
    void until(uint64_t end);

private:
    void run();

    const int fd_;
    std::mutex mutex_;
    std::condition_variable change_;
    uint64_t wanted_ = 0, asked_ = 0;
    bool stop_ = false;
    std::thread thread_;
};

// Asks the kernel to write these bytes to the disk now; may wait for a disk that is behind.
void begin_writeback(int fd, uint64_t offset, uint64_t size);

}  // namespace squashfs
