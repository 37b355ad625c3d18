// Reads and writes that are whole, or say why not.
#pragma once
#include <cstdint>

namespace tarball {

// Fewer bytes than `size` only at the end of the file.
uint64_t read_at(int fd, void* data, uint64_t size, uint64_t offset);
// All of it, at the descriptor's own place.
void write_all(int fd, const void* data, uint64_t size);
// `size` bytes of `from` to the own place of `to`, inside the kernel.
void copy(int from, uint64_t offset, int to, uint64_t size);

}  // namespace tarball
