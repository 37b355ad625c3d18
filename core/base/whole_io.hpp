// Reading and writing all of some bytes, where a call of the kernel may do less: pipes, sockets, signals.
#pragma once
#include <cstddef>

namespace sg {

// False when the descriptor ended before `size` bytes, or failed (errno).
bool read_exactly(int fd, void* to, size_t size);
// False when it failed (errno); some bytes may have been written.
bool write_all(int fd, const void* data, size_t size);

}  // namespace sg
