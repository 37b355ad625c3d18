#include "sif/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace sif {

using singularity::Code;
using singularity::Error;

File& File::operator=(File&& other) noexcept {
    if (this != &other) std::swap(fd_, other.fd_);
    return *this;
}

File::~File() {
    if (fd_ >= 0) ::close(fd_);
}

Error system_error(int error, const std::string& what, const std::string& path) {
    Code code = Code::io;
    switch (error) {
        case ENOENT:
        case ENOTDIR: code = Code::not_found; break;
        case EEXIST: code = Code::exists; break;
        case EACCES:
        case EPERM:
        case EROFS: code = Code::permission; break;
        case ENOSPC:
        case EDQUOT: code = Code::no_space; break;
        case EFBIG: code = Code::limit; break;
        case EISDIR:
        case ELOOP:
        case ENAMETOOLONG: code = Code::invalid; break;
        default: break;
    }
    return Error(code, what + " " + path + ": " + strerrordesc_np(error));
}

void throw_errno(const std::string& what, const std::string& path) { throw system_error(errno, what, path); }

uint64_t read_some(int fd, uint64_t offset, std::span<uint8_t> to, const std::string& path) {
    uint64_t done = 0;
    while (done < to.size()) {
        const ssize_t n = ::pread(fd, to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot read", path);
        if (n == 0) break;
        done += static_cast<uint64_t>(n);
    }
    return done;
}

void read_exactly(int fd, uint64_t offset, std::span<uint8_t> to, const std::string& path) {
    if (read_some(fd, offset, to, path) != to.size())
        throw Error(Code::corrupt, path + " ends before byte " + std::to_string(offset + to.size()));
}

void write_exactly(int fd, uint64_t offset, std::span<const uint8_t> from, const std::string& path) {
    size_t done = 0;
    while (done < from.size()) {
        const ssize_t n = ::pwrite(fd, from.data() + done, from.size() - done, static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot write", path);
        done += static_cast<size_t>(n);
    }
}

void write_zeros(int fd, uint64_t offset, uint64_t size, const std::string& path) {
    static constexpr std::array<uint8_t, 65536> zeros{};
    while (size > 0) {
        const uint64_t n = std::min<uint64_t>(size, zeros.size());
        write_exactly(fd, offset, {zeros.data(), static_cast<size_t>(n)}, path);
        offset += n;
        size -= n;
    }
}

uint64_t size_of(int fd, const std::string& path) {
    struct stat st {};
    if (::fstat(fd, &st) != 0) throw_errno("cannot read", path);
    if (!S_ISREG(st.st_mode)) throw Error(Code::invalid, path + " is not a regular file");
    return static_cast<uint64_t>(st.st_size);
}

void sync(int fd, const std::string& path) {
    if (::fdatasync(fd) != 0) throw_errno("cannot write", path);
}

}  // namespace sif
