// Descriptors and errors of system calls.
#pragma once
#include <singularity/error.hpp>
#include <singularity/stream.hpp>
#include <string>
#include <utility>

namespace sandbox {

// A file descriptor with one owner.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd();
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

// The Error for errno: "WHAT PATH: reason".
singularity::Error system_error(int error, const std::string& what, const std::string& path);
[[noreturn]] void throw_errno(const std::string& what, const std::string& path);  // with the present errno

void write_all(int fd, const singularity::Slice& slice, uint64_t offset, const std::string& path);

// Opens `relative` ("" is `root` itself) below the open directory `root`: no component may be a symbolic link, and a
// link at the end is opened itself only with O_PATH. Any length of path. -1 and errno on failure.
Fd open_beneath(int root, const std::string& relative, int flags);

}  // namespace sandbox
