// SPDX-License-Identifier: BSD-3-Clause
/*
 * adopted.hpp: stored bytes of other images that a new one takes as they are.
 *
 * They come to lie in the order that they have in their images, whatever the order in which they were asked for, so
 * that a whole base is a few long copies; bytes that are asked for twice lie there once. The copying is a thread's own,
 * beside whatever is written behind.
 */
#pragma once
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <singularity/host.hpp>
#include <thread>
#include <vector>

namespace squashfs {

// Another file's bytes; keeps its own descriptor.
class Source {
public:
    explicit Source(int fd);  // duplicates
    ~Source();
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    int fd() const { return fd_; }

private:
    int fd_;
};

// Bytes to be copied from one file to another; both offsets are absolute.
struct Run {
    std::shared_ptr<Source> source;
    uint64_t from, size, to;
};

class AdoptedBlocks {
public:
    // Wants `size` bytes at `offset`; gives the number to ask with. Throws Code::corrupt for a place that no file has.
    size_t add(const std::shared_ptr<Source>& source, uint64_t offset, uint64_t size);
    // Lays all out from the byte `at` of the new file on; gives where they end. Nothing can be added afterwards.
    uint64_t place(uint64_t at);
    uint64_t position(size_t number) const { return pieces_[number].to; }  // after place()
    const std::vector<Run>& runs() const { return runs_; }

private:
    struct Piece {
        size_t source;
        uint64_t offset, size, to;
    };
    std::vector<std::shared_ptr<Source>> sources_;  // in the order of their first use
    std::vector<Piece> pieces_;
    std::vector<Run> runs_;
};

class BackgroundCopy {
public:
    // Begins at once. `fd` must stay open until this is destroyed, which ends the copying wherever it is.
    BackgroundCopy(int fd, std::vector<Run> runs);
    ~BackgroundCopy();
    BackgroundCopy(const BackgroundCopy&) = delete;
    BackgroundCopy& operator=(const BackgroundCopy&) = delete;

    // Until all is copied. Throws what went wrong, as copy_bytes does, and Code::cancelled.
    void wait(const singularity::Host& host);

private:
    void copy();

    const int fd_;
    const std::vector<Run> runs_;
    std::mutex mutex_;
    std::condition_variable change_;
    bool stop_ = false, done_ = false;
    std::exception_ptr failure_;
    std::thread thread_;
};

}  // namespace squashfs
