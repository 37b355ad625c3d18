#include "family/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

namespace sources {
namespace {

constexpr uint64_t step = 1 << 20;
constexpr uint64_t max_offset = static_cast<uint64_t>(std::numeric_limits<off_t>::max());

// Reads until `size` bytes or the end of the file.
uint64_t pread_full(int fd, void* to, uint64_t size, uint64_t offset, const std::string& where) {
    uint64_t done = 0;
    while (done < size) {
        if (offset + done > max_offset) break;
        const ssize_t n = ::pread(fd, static_cast<char*>(to) + done, size - done, static_cast<off_t>(offset + done));
        if (n < 0) {
            if (errno == EINTR) continue;
            throw_errno("cannot read", where);
        }
        if (n == 0) break;
        done += static_cast<uint64_t>(n);
    }
    return done;
}

class FileStream final : public Stream {
public:
    FileStream(Fd fd, uint64_t offset, uint64_t size, std::string where, const Host& host)
        : fd_(std::move(fd)), offset_(offset), left_(size), where_(std::move(where)), host_(host) {
        if (size > 0)
            ::posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_SEQUENTIAL);
    }
    Slice next() override {
        host_.poll();
        if (left_ == 0) return {};
        const uint64_t want = std::min(step, left_);
        if (!buffer_) buffer_ = std::make_unique_for_overwrite<char[]>(want);
        const uint64_t got = pread_full(fd_.get(), buffer_.get(), want, offset_, where_);
        if (got < want)
            throw Error(Code::corrupt, where_ + " ends " + std::to_string(left_ - got) +
                                           " bytes early: it was cut, or changed while it was read");
        offset_ += got;
        left_ -= got;
        return Slice::borrowed(buffer_.get(), got);
    }

private:
    Fd fd_;
    uint64_t offset_, left_;
    std::string where_;
    Host host_;
    std::unique_ptr<char[]> buffer_;
};

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
    if (this != &other) {
        if (fd_ >= 0) ::close(fd_);
        fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
}

Fd::~Fd() {
    if (fd_ >= 0) ::close(fd_);
}

void throw_errno(const std::string& what, const std::string& path) {
    const int e = errno;
    Code code = Code::io;
    if (e == ENOENT || e == ENOTDIR) code = Code::not_found;
    if (e == EACCES || e == EPERM) code = Code::permission;
    if (e == ENAMETOOLONG || e == ELOOP) code = Code::invalid;
    throw Error(code, what + " " + path + ": " + std::strerror(e));
}

std::optional<Fd> open_if_there(const std::string& path, uint64_t& size) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) {
        if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
        throw_errno("cannot open", path);
    }
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0) throw_errno("cannot examine", path);
    if (S_ISDIR(st.st_mode)) throw Error(Code::invalid, path + " is a directory, and a file is expected there");
    if (!S_ISREG(st.st_mode)) throw Error(Code::invalid, path + " is not a regular file");
    size = static_cast<uint64_t>(st.st_size);
    return fd;
}

Fd open_regular(const std::string& path, uint64_t& size) {
    if (auto fd = open_if_there(path, size)) return std::move(*fd);
    throw_errno("cannot open", path);
}

std::optional<std::string> read_small(const std::string& path, uint64_t limit) {
    uint64_t size = 0;
    const auto fd = open_if_there(path, size);
    if (!fd) return std::nullopt;
    if (size > limit)
        throw Error(Code::limit, path + " is larger than the limit of " + std::to_string(limit) + " bytes");
    return read_at(fd->get(), 0, size, path);
}

std::string read_at(int fd, uint64_t offset, uint64_t size, const std::string& where) {
    std::string out(static_cast<size_t>(size), '\0');
    if (pread_full(fd, out.data(), size, offset, where) != size)
        throw Error(Code::corrupt, where + " ends early: it was cut, or changed while it was read");
    return out;
}

std::unique_ptr<Stream> stream_file(Fd fd, uint64_t offset, uint64_t size, std::string where, const Host& host) {
    return std::make_unique<FileStream>(std::move(fd), offset, size, std::move(where), host);
}

Fd reopen(int fd, const std::string& where) {
    Fd again(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC));
    if (!again) again = Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!again) throw_errno("cannot open", where);
    return again;
}

}  // namespace sources
