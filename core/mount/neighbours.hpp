// Hands small files to the kernel's page cache before they are asked for.
//
// Small files of a directory share a stored block, decompressed as a whole when one of them is read. Its
// neighbours in the same directory and block are then sent by FUSE_NOTIFY_STORE, which spares a read request
// for each: reading a tree of small files takes half the CPU and less than half the time.
//
// Kernel facts: the notification waits for a page that a read in progress has locked, so it never comes from
// a thread that answers requests; it knows only nodes that it was told of by a look-up or a listing and says
// ENOENT for others, where a pass stops.
//
// `told` and `was_read` come from any answering thread and never wait; `run` is the body of one thread.
#pragma once
#include <singularity/format.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "mount/view.hpp"

namespace sg {

class Neighbours {
public:
    static constexpr uint64_t small = 65536;  // bytes of a file that is worth sending

    Neighbours(int transport, const View& view);
    ~Neighbours();

    // The kernel learns of regular file `id` in `dir`.
    void told(uint64_t id, uint64_t dir) noexcept;
    // Small file `id` was read from its start. True: there is work for a thread in `run`.
    bool was_read(uint64_t id) noexcept;

    void run();
    void stop() noexcept;

private:
    struct Task {
        uint64_t dir, id, shared;
    };
    struct File {
        uint64_t shared, id;
        bool sent;
    };
    using Directory = std::vector<File>;  // by shared block, then as listed

    // A table that forgets: a slot per number, the last one wins. A wrong or lost parent costs a pass
    // that sends nothing, or none.
    struct Parent {
        std::atomic<uint64_t> id, dir;
    };
    // What was asked of one (directory, block): its hash and, in the low byte, how many of its files were
    // read since the last pass. That many reads of files that were sent mean that memory was short.
    using Seen = std::atomic<uint64_t>;
    static constexpr size_t parents = 1u << 18, seen = 1u << 14;
    static constexpr uint64_t again_after = 16;
    static constexpr size_t queue_size = 256;

    Seen& slot(uint64_t key) noexcept { return seen_[(key >> 16) % seen]; }
    static uint64_t key_of(uint64_t dir, uint64_t shared) noexcept;
    Directory& directory(uint64_t dir);
    void pass(const Task& task);
    int send(const File& file) noexcept;  // 0 or an errno

    const int transport_;
    const View& view_;
    Parent* parents_ = nullptr;  // mapped, touched where used; NULL: could not be had
    Seen* seen_ = nullptr;

    std::mutex mutex_;
    std::condition_variable wake_;
    Task queue_[queue_size];
    size_t first_ = 0, count_ = 0;
    bool stop_ = false;

    // Only `run`'s:
    std::unordered_map<uint64_t, Directory> directories_;
    size_t files_ = 0;
};

}  // namespace sg
