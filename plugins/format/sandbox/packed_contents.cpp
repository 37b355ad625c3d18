#include "sandbox/packed_contents.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace sandbox {

using singularity::Code;
using singularity::Error;
using singularity::Slice;

namespace {
constexpr size_t most_held = size_t{1} << 20;
constexpr const char* name = "packed";
}  // namespace

PackedContents::PackedContents(int directory, std::string path) : path_(std::move(path)) {
    file_ = Fd(::openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file_) throw_errno("cannot create", path_);
    if (::unlinkat(directory, name, 0) != 0) throw_errno("cannot remove", path_);
    held_.reserve(most_held + largest);
}

uint64_t PackedContents::add(std::span<const uint8_t> bytes) {
    held_.insert(held_.end(), bytes.begin(), bytes.end());
    const uint64_t place = size_;
    size_ += bytes.size();
    if (held_.size() >= most_held) flush();
    return place;
}

void PackedContents::flush() {
    if (held_.empty()) return;
    write_all(file_.get(), Slice::borrowed(held_.data(), held_.size()), size_ - held_.size(), path_);
    held_.clear();
}

void PackedContents::read(uint64_t place, std::span<uint8_t> bytes) const {
    for (size_t got = 0; got < bytes.size();) {
        const ssize_t n = ::pread(file_.get(), bytes.data() + got, bytes.size() - got, static_cast<off_t>(place + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot read", path_);
        if (n == 0) throw Error(Code::corrupt, path_ + " is shorter than what was written to it");
        got += static_cast<size_t>(n);
    }
}

}  // namespace sandbox
