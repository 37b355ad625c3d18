#include "registry/blob_stream.hpp"

#include <algorithm>
#include <optional>

namespace registry {
namespace {

constexpr uint64_t worth_going_on = 1 << 20;  // bytes that make a break forgiven, as in containers/image
constexpr double long_ago = 60;               // seconds that do

class BlobStream final : public Stream {
public:
    BlobStream(OpenBlob open, Answer first, std::string what, uint64_t offset, uint64_t size, const Host& host,
               Clock& clock)
        : open_(std::move(open)), what_(std::move(what)), size_(size), done_(offset), host_(host), clock_(clock) {
        take(std::move(first));
    }

    Slice next() override {
        held_.reset();
        for (;;) {
            try {
                if (!body_) take(open_(done_));
                Slice slice = body_->next();
                if (slice.size() == 0) {
                    if (done_ == size_) return {};
                    throw Error(Code::network, "the connection ended after " + so_far());
                }
                if (skip_ > 0) {
                    const uint64_t n = std::min(skip_, slice.size());
                    skip_ -= n;
                    if (n == slice.size()) continue;
                    check_size(slice.size() - n);
                    const bool hole = slice.is_hole();
                    held_ = std::move(slice);
                    done_ += held_.size() - n;
                    return hole ? Slice::hole(held_.size() - n) : Slice::borrowed(held_.data() + n, held_.size() - n);
                }
                check_size(slice.size());
                done_ += slice.size();
                return slice;
            } catch (const Error& e) {
                // Everything is here, whatever became of the connection.
                if (done_ == size_ && is_transient(e)) return {};
                pause_after(e);
            }
        }
    }

private:
    std::string so_far() const { return std::to_string(done_) + " of " + std::to_string(size_) + " bytes"; }

    void check_size(uint64_t more) const {
        if (more > size_ - done_)
            throw Error(Code::corrupt, what_ + ": more bytes came than the " + std::to_string(size_) + " of its manifest",
                        "The registry, or something on the way to it, is broken.");
    }

    void take(Answer answer) {
        body_.reset();
        if (answer_)
            *answer_ = std::move(answer);
        else
            answer_.emplace(std::move(answer));
        skip_ = 0;
        if (answer_->status() == 206) {
            const std::string range = answer_->header("Content-Range");
            const std::string wanted = "bytes " + std::to_string(done_) + "-";
            if (!range.empty() && range.compare(0, wanted.size(), wanted) != 0)
                throw Error(Code::corrupt, what_ + ": bytes from " + std::to_string(done_) + " on were asked for, and other ones came");
        } else {
            skip_ = done_;  // the server knows no ranges and began anew
        }
        const uint64_t announced = answer_->size();
        if (announced != SG_SIZE_UNKNOWN && announced != size_ - done_ + skip_)
            throw Error(Code::corrupt, what_ + ": the server announces " + std::to_string(announced + done_ - skip_) +
                                           " bytes, and the manifest says " + std::to_string(size_),
                        "The registry, or something on the way to it, is broken.");
        body_ = answer_->body();
    }

    // Waits before the next try, or throws when there should be none.
    void pause_after(const Error& e) {
        body_.reset();
        answer_.reset();
        if (!is_transient(e)) throw e;
        const double now = clock_.now();
        if (breaks_ == 0 || done_ - last_done_ >= worth_going_on || now - last_break_ >= long_ago) breaks_ = 0;
        last_done_ = done_;
        last_break_ = now;
        if (++breaks_ >= max_tries)
            throw Error(e.code(), what_ + ": " + e.message(), e.hint().empty() ? "Check the network, and try again." : e.hint());
        const double wait = wait_after_failure(breaks_, clock_);
        host_.log(SG_VERBOSE, what_ + ": " + e.message() + "; going on at " + so_far());
        clock_.wait(wait, host_);
    }

    OpenBlob open_;
    std::string what_;
    uint64_t size_, done_, skip_ = 0, last_done_ = 0;
    Host host_;
    Clock& clock_;
    unsigned breaks_ = 0;
    double last_break_ = 0;
    std::optional<Answer> answer_;  // outlives its body
    std::unique_ptr<Stream> body_;
    Slice held_;
};

}  // namespace

std::unique_ptr<Stream> stream_blob(OpenBlob open, Answer first, std::string what, uint64_t offset, uint64_t size,
                                    const Host& host, Clock& clock) {
    return std::make_unique<BlobStream>(std::move(open), std::move(first), std::move(what), offset, size, host, clock);
}

}  // namespace registry
