// What every file here needs of the system: descriptors with an owner and errors from errno.
#pragma once
#include <fcntl.h>
#include <singularity/plugin.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

namespace launcher {

using singularity::Code;
using singularity::Error;

class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~Fd() { reset(); }
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    void reset() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }

private:
    int fd_ = -1;
};

// "WHAT PATH: reason of `number`" with the code that fits.
Error system_error(int number, std::string_view what, std::string_view path = {}, std::string hint = {});
[[noreturn]] void fail(std::string_view what, std::string_view path = {}, std::string hint = {});  // with errno

// A hint about something that the machine lacks, with where to learn more.
std::string machine_hint(std::string hint);

// "/proc/self/fd/N": the way to hand an open descriptor to a call that wants a path.
std::string fd_path(int fd);

// The whole file, at most `limit` bytes (Code::limit above). `at` may be AT_FDCWD.
std::string read_file(int at, const std::string& path, size_t limit);
// Writes a new file below `at`.
void write_file(int at, const std::string& path, std::string_view content, mode_t mode);
// The same at an absolute `path`: readers see the old content or all of the new.
void replace_file(const std::string& path, std::string_view content, mode_t mode);

// A lexically clean absolute path: no "//", "." or ".." left ("/a/../b" is "/b", as in a chroot).
std::string clean_path(std::string_view path);
// "/a" for "/a/b", "/" for "/a".
std::string parent_path(std::string_view path);

}  // namespace launcher
