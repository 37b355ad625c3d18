#include "rootfs/digest_stream.hpp"

#include <optional>
#include <thread>

#include "base/error.hpp"
#include "rootfs/read_ahead.hpp"
#include "rootfs/slices.hpp"

namespace sg {

using singularity::Slice;
using singularity::Stream;

namespace {

// Hashing in a thread of its own.
class HashThread {
public:
    explicit HashThread(std::string_view algorithm)
        : stop_(std::make_shared<StopFlag>()), queue_(4 << 20, stop_), hasher_(algorithm), thread_([this] { run(); }) {}
    ~HashThread() {
        queue_.stop();
        join();
    }
    void update(Slice s) { queue_.push(std::move(s)); }
    std::string finish() {
        queue_.end();
        join();
        if (failure_) std::rethrow_exception(failure_);
        return hasher_.finish();
    }

private:
    void join() {
        if (thread_.joinable()) thread_.join();
    }
    void run() noexcept {
        try {
            for (;;) {
                const Slice s = queue_.pop(nullptr);
                if (s.size() == 0) break;
                hasher_.update(s);
            }
        } catch (...) {
            failure_ = std::current_exception();
            queue_.stop();  // the other side must not wait for room
        }
    }
    std::shared_ptr<StopFlag> stop_;
    SliceQueue queue_;
    Hasher hasher_;
    std::exception_ptr failure_;
    std::thread thread_;
};

class Verifying final : public Stream {
public:
    Verifying(std::unique_ptr<Stream> from, Expected expected, bool own_thread)
        : from_(std::move(from)), expected_(std::move(expected)) {
        if (expected_.digest.empty()) return;
        if (own_thread)
            thread_ = std::make_unique<HashThread>(expected_.digest);
        else
            hasher_.emplace(expected_.digest);
    }

    Slice next() override {
        if (ended_) return {};
        Slice s = from_->next();
        seen_ += s.size();
        if (seen_ > expected_.size)
            throw Error(Code::corrupt, expected_.what + ": has more bytes than the " + std::to_string(expected_.size) +
                                           " that its descriptor states");
        if (s.size() == 0) {
            check();
            ended_ = true;
            return {};
        }
        if (hasher_)
            hasher_->update(s);
        else if (thread_)
            thread_->update(share(s));
        return s;
    }

private:
    void check() {
        if (expected_.size != SG_SIZE_UNKNOWN && seen_ != expected_.size)
            throw Error(Code::corrupt, expected_.what + ": has " + std::to_string(seen_) + " bytes where its descriptor states " +
                                           std::to_string(expected_.size));
        if (!hasher_ && !thread_) return;
        const std::string got = hasher_ ? hasher_->finish() : thread_->finish();
        if (got != expected_.digest)
            throw Error(Code::corrupt, expected_.what + ": wrong " + expected_.of + ": its data has " + got + ", expected is " +
                                           expected_.digest);
    }

    std::unique_ptr<Stream> from_;
    Expected expected_;
    std::optional<Hasher> hasher_;
    std::unique_ptr<HashThread> thread_;
    uint64_t seen_ = 0;
    bool ended_ = false;
};

}  // namespace

std::unique_ptr<Stream> verify(std::unique_ptr<Stream> from, Expected expected, bool own_thread) {
    if (own_thread && !expected.digest.empty()) from = owning(std::move(from), BufferPool::make());
    return std::make_unique<Verifying>(std::move(from), std::move(expected), own_thread);
}

}  // namespace sg
