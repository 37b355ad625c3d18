// Loop devices that vanish with their last user.
#pragma once
#include "system.hpp"

namespace native {

struct LoopDevice {
    Fd fd;             // keeps it attached until the mount holds it
    std::string path;  // /dev/loopN
};

// Attaches `size` bytes (0: to the end) of the file from `offset`, read-only unless `writable`, with
// LO_FLAGS_AUTOCLEAR. Needs real root.
LoopDevice attach_loop(const std::string& file, uint64_t offset, uint64_t size, bool writable);
// The same of an open file; locks on it live as long as the device.
LoopDevice attach_loop(int image, const std::string& file, uint64_t offset, uint64_t size, bool writable);

}  // namespace native
