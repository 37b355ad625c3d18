#include "fetch/spool.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/error.hpp"

namespace sg {

namespace {

constexpr size_t kChunk = 1 << 20;

class RangeStream final : public singularity::Stream {
public:
    RangeStream(int fd, uint64_t offset, uint64_t size) : fd_(fd), at_(offset), left_(size), buffer_(std::min<uint64_t>(size, kChunk)) {}
    singularity::Slice next() override {
        if (left_ == 0) return {};
        const ssize_t n = pread(fd_, buffer_.data(), std::min<uint64_t>(left_, buffer_.size()), static_cast<off_t>(at_));
        if (n < 0) throw_errno("cannot read the temporary file", "");
        if (n == 0) throw Error(Code::io, "the temporary file became shorter");
        at_ += static_cast<uint64_t>(n);
        left_ -= static_cast<uint64_t>(n);
        return singularity::Slice::borrowed(buffer_.data(), static_cast<uint64_t>(n));
    }

private:
    int fd_;
    uint64_t at_, left_;
    std::vector<uint8_t> buffer_;
};

// Only temporary files lie here: the user may name another directory for them.
[[noreturn]] void fail(std::string_view what, const std::string& directory) {
    const Error e = system_error(errno, what, directory);
    throw Error(e.code(), e.message(), "Another directory for temporary files: --tmpdir, or export SINGULARITY_TMPDIR=DIRECTORY.");
}

}  // namespace

Spool::Spool(const std::string& directory) : directory_(directory) {
    fd_.reset(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd_) return;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) fail("cannot write to", directory);
    std::string name = directory + "/singularity-spool-XXXXXX";
    fd_.reset(mkostemp(name.data(), O_CLOEXEC));
    if (!fd_) fail("cannot write to", directory);
    unlink(name.c_str());
}

uint64_t Spool::add(singularity::Stream& stream) {
    const uint64_t begin = end_;
    for (;;) {
        const singularity::Slice slice = stream.next();
        if (slice.size() == 0) break;
        if (slice.is_hole()) {
            end_ += slice.size();
            if (ftruncate(fd_.get(), static_cast<off_t>(end_)) != 0) fail("cannot write a temporary file in", directory_);
            continue;
        }
        const uint8_t* data = slice.data();
        uint64_t left = slice.size();
        while (left > 0) {
            const ssize_t n = pwrite(fd_.get(), data, left, static_cast<off_t>(end_));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) fail("cannot write a temporary file in", directory_);
            data += n;
            left -= static_cast<uint64_t>(n);
            end_ += static_cast<uint64_t>(n);
        }
    }
    parts_.push_back({begin, end_ - begin});
    return parts_.size() - 1;
}

std::unique_ptr<singularity::Stream> Spool::open(uint64_t number) const {
    const Range& r = parts_.at(number);
    return std::make_unique<RangeStream>(fd_.get(), r.offset, r.size);
}

uint64_t Spool::size(uint64_t number) const { return parts_.at(number).size; }

}  // namespace sg
