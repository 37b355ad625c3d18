// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <family/adopted.hpp>
#include <family/output_file.hpp>
#include <family/writeback.hpp>
#include <numeric>
#include <system_error>
#include <tuple>

namespace squashfs {

using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

constexpr uint64_t page = 4096;
constexpr uint64_t step = uint64_t{16} << 20;  // bytes of one copy, so that an end is noticed
// File systems share whole pages alone: a run of so many bytes keeps its place in the page.
constexpr uint64_t worth_sharing = uint64_t{1} << 20;

}  // namespace

Source::Source(int fd) : fd_(fcntl(fd, F_DUPFD_CLOEXEC, 3)) {
    if (fd_ < 0) throw_errno("keep the image that blocks are taken from open");
}

Source::~Source() { close(fd_); }

size_t AdoptedBlocks::add(const std::shared_ptr<Source>& source, uint64_t offset, uint64_t size) {
    if (offset > uint64_t{INT64_MAX} || size > uint64_t{INT64_MAX} - offset)
        throw Error(Code::corrupt, "the image that blocks are taken from names bytes behind the end of any file");
    size_t number = sources_.size();
    while (number > 0 && sources_[number - 1] != source) --number;
    if (number == 0) {
        sources_.push_back(source);
        number = sources_.size();
    }
    pieces_.push_back({number - 1, offset, size, 0});
    return pieces_.size() - 1;
}

uint64_t AdoptedBlocks::place(uint64_t at) {
    std::vector<size_t> order(pieces_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        const Piece &x = pieces_[a], &y = pieces_[b];
        return std::tie(x.source, x.offset, x.size) < std::tie(y.source, y.offset, y.size);
    });
    for (size_t i = 0; i < order.size();) {
        // Pieces that touch or overlap are one run.
        const Piece& first = pieces_[order[i]];
        uint64_t end = first.offset + first.size;
        size_t behind = i + 1;
        for (; behind < order.size(); ++behind) {
            const Piece& next = pieces_[order[behind]];
            if (next.source != first.source || next.offset > end) break;
            end = std::max(end, next.offset + next.size);
        }
        const uint64_t size = end - first.offset;
        if (size >= worth_sharing) at += (first.offset % page + page - at % page) % page;
        runs_.push_back({sources_[first.source], first.offset, size, at});
        const uint64_t from = first.offset;
        for (; i < behind; ++i) pieces_[order[i]].to = at + (pieces_[order[i]].offset - from);
        at += size;
    }
    return at;
}

BackgroundCopy::BackgroundCopy(int fd, std::vector<Run> runs) : fd_(fd), runs_(std::move(runs)) {
    if (runs_.empty()) {
        done_ = true;
        return;
    }
    try {
        thread_ = std::thread([this] { copy(); });
    } catch (const std::system_error&) {
        copy();  // no more threads for this user
    }
}

BackgroundCopy::~BackgroundCopy() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    if (thread_.joinable()) thread_.join();
}

void BackgroundCopy::copy() {
    std::exception_ptr failure;
    try {
        for (const Run& run : runs_) {
            for (uint64_t done = 0; done < run.size;) {
                {
                    const std::lock_guard lock(mutex_);
                    if (stop_) return;
                }
                // The first copy ends at a page, as only those behind it can be shared.
                const uint64_t n = std::min(run.size - done, step - (run.from + done) % page);
                copy_bytes(run.source->fd(), run.from + done, fd_, run.to + done, n);
                begin_writeback(fd_, run.to + done, n);
                done += n;
            }
        }
    } catch (...) {
        failure = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    failure_ = failure;
    done_ = true;
    change_.notify_all();
}

void BackgroundCopy::wait(const Host& host) {
    std::unique_lock lock(mutex_);
    while (!change_.wait_for(lock, std::chrono::milliseconds(50), [&] { return done_; })) {
        lock.unlock();
        host.poll();
        lock.lock();
    }
    if (failure_) std::rethrow_exception(failure_);
}

}  // namespace squashfs
