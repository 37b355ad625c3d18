// Hands small files to the kernel's page cache before they are asked for.
//
// Small files of a directory share a stored block, decompressed as a whole when one of them is read. Its
// neighbours in the same directory and block are then sent by FUSE_NOTIFY_STORE, which spares a read request
// for each: 200,000 reads of a tree of small files become some thousand. How many are sent grows with each
// read in the same block (16, 64, ...), so that who wants one file only pays little.
//
// They are sent *before* the read is answered. Sent afterwards, or by a thread of their own, they race with
// the program that has its first file and asks for the next: on a busy machine nearly all were then both sent
// and asked for.
//
// Kernel facts: the notification waits for a page that another read has locked, so one thread must always be
// left to answer (the server sees to that). Nodes that the kernel was not told of give ENOENT, where a pass
// stops; as only listings tell it of a whole directory, only they are noted here.
//
// Any thread; nothing throws, and none waits for another.
#pragma once
#include <singularity/format.h>

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
    // Small file `id` is being read from its start: sends some of its neighbours.
    void being_read(uint64_t id) noexcept;

private:
    struct File {
        uint64_t shared, id;
        uint32_t size;
        bool sent;
    };
    struct Directory {
        std::vector<File> files;  // small ones that share a block; by block, then as listed
        bool whole = true;        // false: more entries than are looked at for a first read
        std::atomic_flag busy = ATOMIC_FLAG_INIT;  // guards all but `whole`
        uint64_t block = UINT64_MAX;  // the one being read
        uint32_t window = 0;          // files to send at its next read
        uint32_t again = 0;           // reads of files that had been sent
    };
    // A table that forgets: a slot per number, the last one wins. A wrong or lost parent costs a pass that
    // sends what nobody wants, or none.
    struct Parent {
        std::atomic<uint64_t> id, dir;
    };
    static constexpr size_t parents = 1u << 19;
    Parent& parent(uint64_t id) const noexcept;

    std::shared_ptr<Directory> directory(uint64_t dir);
    std::shared_ptr<Directory> collect(uint64_t dir, size_t limit) const;
    void pass(Directory& dir, uint64_t id, uint64_t shared) noexcept;
    bool send(const File& file) noexcept;

    const int transport_;
    const View& view_;
    Parent* parents_ = nullptr;  // mapped, touched where used; NULL: could not be had
    std::mutex mutex_;           // guards the two below
    std::unordered_map<uint64_t, std::shared_ptr<Directory>> directories_;
    size_t files_ = 0;
};

}  // namespace sg
