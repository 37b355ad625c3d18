// Files of the host as image sources read them: regular files only, in big steps, from several threads.
#pragma once
#include <sys/types.h>

#include <optional>
#include <singularity/host.hpp>
#include <string>

namespace sources {

using singularity::Code;
using singularity::Error;
using singularity::Host;
using singularity::Slice;
using singularity::Stream;

// A descriptor with one owner.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept;
    ~Fd();
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

// The Error for errno: "WHAT PATH: why".
[[noreturn]] void throw_errno(const std::string& what, const std::string& path);

// Opens for reading. Symbolic links are followed (the user's own files), but only a regular file is accepted;
// opening never blocks on a FIFO. nullopt when nothing is there.
std::optional<Fd> open_if_there(const std::string& path, uint64_t& size);
Fd open_regular(const std::string& path, uint64_t& size);

// All bytes of a small file; more than `limit` is Code::limit. nullopt when nothing is there.
std::optional<std::string> read_small(const std::string& path, uint64_t limit);

// Exactly `size` bytes from `offset`. `where` names the file for errors (Code::io, or corrupt when it ends early).
std::string read_at(int fd, uint64_t offset, uint64_t size, const std::string& where);

// Streams `size` bytes from `offset` in steps of 1 MiB. Owns `fd` alone, so that the kernel's read-ahead state is its
// own too. `where` names it in errors. Polls the call's cancel token.
std::unique_ptr<Stream> stream_file(Fd fd, uint64_t offset, uint64_t size, std::string where, const Host& host);

// Another open file description of the same file (for its own read-ahead), or a duplicate without /proc.
Fd reopen(int fd, const std::string& where);

}  // namespace sources
