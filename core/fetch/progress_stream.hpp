// A stream that moves a progress bar as its bytes go by.
#pragma once
#include <singularity/stream.hpp>

#include <memory>
#include <string>

#include "base/call.hpp"

namespace sg {

class ProgressStream final : public singularity::Stream {
public:
    ProgressStream(std::unique_ptr<singularity::Stream> from, const sg_call* call, const std::string& label, uint64_t total)
        : from_(std::move(from)), bar_(call && call->progress ? call->progress->begin(label.c_str(), total) : nullptr) {}
    ~ProgressStream() override {
        if (bar_) bar_->end(whole_ ? SG_OK : SG_EIO);
    }
    singularity::Slice next() override {
        singularity::Slice slice = from_->next();
        if (slice.size() == 0)
            whole_ = true;
        else if (bar_)
            bar_->advance(slice.size());
        return slice;
    }

private:
    std::unique_ptr<singularity::Stream> from_;
    std::unique_ptr<Progress::Bar> bar_;
    bool whole_ = false;
};

}  // namespace sg
