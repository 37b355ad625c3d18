// Positioned reads and writes that are complete or throw, for the container's file.
#pragma once
#include <cstdint>
#include <singularity/error.hpp>
#include <span>
#include <string>
#include <utility>

namespace sif {

// A file descriptor with one owner.
class File {
public:
    File() = default;
    explicit File(int fd) : fd_(fd) {}
    File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    File& operator=(File&& other) noexcept;
    ~File();
    int fd() const { return fd_; }

private:
    int fd_ = -1;
};

// The Error for errno: "WHAT PATH: reason".
singularity::Error system_error(int error, const std::string& what, const std::string& path);
[[noreturn]] void throw_errno(const std::string& what, const std::string& path);

// All of `to` from `offset`; a file that ends before is Code::corrupt.
void read_exactly(int fd, uint64_t offset, std::span<uint8_t> to, const std::string& path);
// At most `to.size()` bytes; fewer only at the end of the file.
uint64_t read_some(int fd, uint64_t offset, std::span<uint8_t> to, const std::string& path);
void write_exactly(int fd, uint64_t offset, std::span<const uint8_t> from, const std::string& path);
void write_zeros(int fd, uint64_t offset, uint64_t size, const std::string& path);
uint64_t size_of(int fd, const std::string& path);
void sync(int fd, const std::string& path);

}  // namespace sif
