#include "fetch/resuming_stream.hpp"

#include "base/error.hpp"
#include "base/log.hpp"

namespace sg {

namespace {

using singularity::Slice;

constexpr int kMostResumptions = 5;

class Resuming final : public singularity::Stream {
public:
    Resuming(std::function<std::unique_ptr<singularity::Stream>(uint64_t)> open, const sg_call* call)
        : open_(std::move(open)), call_(call), stream_(open_(0)) {}

    Slice next() override {
        for (;;) {
            if (call_) call_->cancel.poll();
            try {
                Slice s = stream_->next();
                at_ += s.size();
                return s;
            } catch (const Error& e) {
                const bool passing = e.code() == Code::network || e.code() == Code::timeout;
                if (!passing || at_ == resumed_at_ || resumptions_ == kMostResumptions) throw;
                resume(e);
            }
        }
    }

private:
    void resume(const Error& why) {
        ++resumptions_;
        resumed_at_ = at_;
        log::verbose("the connection broke after " + std::to_string(at_) + " bytes (" + why.message() + "), asking for the rest");
        try {
            stream_.reset();
            stream_ = open_(at_);
        } catch (const Error& e) {
            if (e.code() == Code::cancelled) throw;
            throw why;
        }
    }

    std::function<std::unique_ptr<singularity::Stream>(uint64_t)> open_;
    const sg_call* call_;
    std::unique_ptr<singularity::Stream> stream_;
    uint64_t at_ = 0, resumed_at_ = 0;
    int resumptions_ = 0;
};

}  // namespace

std::unique_ptr<singularity::Stream> resuming(std::function<std::unique_ptr<singularity::Stream>(uint64_t)> open, const sg_call* call) {
    return std::make_unique<Resuming>(std::move(open), call);
}

}  // namespace sg
