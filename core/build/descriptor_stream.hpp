// What a descriptor gives until its end, from where it stands.
#pragma once
#include <singularity/stream.hpp>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace sg {

class DescriptorStream final : public singularity::Stream {
public:
    // `what` is read, for messages.
    DescriptorStream(UniqueFd fd, std::string what) : fd_(std::move(fd)), what_(std::move(what)) {}
    singularity::Slice next() override {
        std::vector<uint8_t> buffer(1 << 20);
        ssize_t n = 0;
        do n = read(fd_.get(), buffer.data(), buffer.size());
        while (n < 0 && errno == EINTR);
        if (n < 0) throw_errno("cannot read", what_);
        buffer.resize(static_cast<size_t>(n));
        return n == 0 ? singularity::Slice() : singularity::Slice::owned(std::move(buffer));
    }

private:
    UniqueFd fd_;
    std::string what_;
};

}  // namespace sg
