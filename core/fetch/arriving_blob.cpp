#include "fetch/arriving_blob.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/error.hpp"
#include "rootfs/slices.hpp"

namespace sg {

using singularity::Slice;

namespace {
constexpr auto kGlance = std::chrono::milliseconds(20);  // how often a waiting reader looks at the cancel token
}

void ArrivingBlob::begin(int fd) {
    const std::lock_guard lock(mutex_);
    fd_ = fd;
}

void ArrivingBlob::arrived(uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    there_ += bytes;
    changed_.notify_all();
}

void ArrivingBlob::verified() {
    const std::lock_guard lock(mutex_);
    verified_ = true;
    changed_.notify_all();
}

void ArrivingBlob::failed(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    if (!verified_ && !failure_) failure_ = std::move(failure);
    changed_.notify_all();
}

class ArrivingBlob::Reader final : public singularity::Stream {
public:
    Reader(std::shared_ptr<ArrivingBlob> blob, const sg_call* call) : blob_(std::move(blob)), call_(call), pool_(BufferPool::make()) {}

    Slice next() override {
        const uint64_t n = wait();
        if (n == 0) return {};
        auto buffer = pool_->take();
        uint64_t got = 0;
        while (got < n) {
            const ssize_t r = pread(blob_->fd_, buffer.data() + got, n - got, static_cast<off_t>(at_ + got));
            if (r < 0 && errno == EINTR) continue;
            if (r < 0) throw_errno("cannot read what was fetched", "");
            if (r == 0) throw Error(Code::io, "the file that holds what was fetched became shorter");
            got += static_cast<uint64_t>(r);
        }
        at_ += n;
        return std::move(buffer).slice(n);
    }

private:
    // A whole buffer's worth, or what is left once all is there and right.
    uint64_t wait() {
        std::unique_lock lock(blob_->mutex_);
        for (;;) {
            if (blob_->failure_) std::rethrow_exception(blob_->failure_);
            const uint64_t there = blob_->there_ - at_;
            if (blob_->verified_) return std::min<uint64_t>(there, BufferPool::size);
            if (there > BufferPool::size) return BufferPool::size;
            if (call_) call_->cancel.poll();
            blob_->changed_.wait_for(lock, kGlance);
        }
    }

    std::shared_ptr<ArrivingBlob> blob_;
    const sg_call* call_;
    std::shared_ptr<BufferPool> pool_;
    uint64_t at_ = 0;
};

std::unique_ptr<singularity::Stream> ArrivingBlob::read(const sg_call* call) { return std::make_unique<Reader>(shared_from_this(), call); }

}  // namespace sg
