// Hands small files to the kernel's page cache before they are asked for.
//
// Small files of a directory share a stored block, decompressed as a whole when one of them is read. Its
// neighbours in the same directory and block are then sent by FUSE_NOTIFY_STORE, which spares a read request
// for each: 200,000 reads of a tree of small files become some thousand.
//
// Some are sent *before* the read is answered: a program that has its first file asks for the next at once,
// and on a busy machine a thread of its own lost nearly all of these races. From the second read in a block
// on, the rest follow after the answer, while the program is at those that it has. So who wants one file only
// pays little.
//
// The start of a file is sent, too, when a program asks whether it is a terminal: interpreters do that with each file
// that they open, right before they read it.
//
// Kernel facts: the notification waits for a page that another read has locked, beyond the reach of signals. A process
// that is killed meanwhile does not end while it owes the answer: who holds its mount then ends the connection
// (keeper.cpp). And one thread must always be left to answer, and of those that owe an answer themselves only one may
// send at a time: two could wait for each other's page for ever (the server sees to both). Nodes that the kernel was
// not told of give ENOENT, where a pass stops; as only listings tell it of a whole directory, only they are noted here.
//
// Any thread; nothing throws, and none waits for another.
#pragma once
#include <singularity/format.h>

#include <array>
#include <atomic>
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
    Neighbours(const Neighbours&) = delete;
    Neighbours& operator=(const Neighbours&) = delete;

    // The kernel learns of regular file `id` from a listing of `dir`.
    void listed(uint64_t id, uint64_t dir) noexcept;

    // What is left of a pass when the read has been answered.
    struct Rest {
        std::shared_ptr<struct NeighboursDirectory> dir;
        size_t first = 0, at = 0, last = 0;
    };
    // Small file `id` is being read from its start: sends some of its neighbours, if this thread `may_send` while it owes
    // the answer; `rest` is filled when more are to follow.
    void before_answer(uint64_t id, bool may_send, Rest& rest) noexcept;
    void after_answer(Rest& rest) noexcept;

    // Regular file `id`, which no listing told the kernel of, is about to be read: sends its start, once.
    // This thread owes an answer and may send.
    void before_reading(uint64_t id) noexcept;

private:
    using Directory = struct NeighboursDirectory;
    // A table that forgets: a slot per number, the last one wins. A wrong or lost parent costs a pass that
    // sends what nobody wants, or none.
    struct Parent {
        std::atomic<uint64_t> id, dir;
    };
    static constexpr size_t parents = 1u << 19;
    Parent& parent(uint64_t id) const noexcept;

    std::shared_ptr<Directory> directory(uint64_t dir);
    std::shared_ptr<Directory> collect(uint64_t dir, size_t limit) const;
    void pass(std::shared_ptr<Directory> dir, uint64_t id, uint64_t shared, bool may_send, Rest& rest) noexcept;
    void send_around(Directory& dir, const Rest& range, uint32_t limit) noexcept;
    bool send(uint64_t id, uint32_t size) noexcept;
    bool store(uint64_t id, const sg_slice& bytes) noexcept;

    const int transport_;
    const View& view_;
    std::array<std::atomic<uint64_t>, 4096> started_{};  // whose start was sent: a slot per number, the last one wins
    Parent* parents_ = nullptr;  // mapped, touched where used; NULL: could not be had
    std::mutex mutex_;           // guards the two below
    std::unordered_map<uint64_t, std::shared_ptr<Directory>> directories_;
    size_t files_ = 0;
};

}  // namespace sg
