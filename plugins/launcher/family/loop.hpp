// Loop devices that vanish with their last user.
#pragma once
#include "family/system.hpp"

namespace launcher {

struct LoopDevice {
    Fd fd;             // keeps it attached until the mount holds it
    std::string path;  // /dev/loopN
};

// Attaches `size` bytes (0: to the end) of the file from `offset`, read-only unless `writable`, with
// LO_FLAGS_AUTOCLEAR. Needs real root.
LoopDevice attach_loop(const std::string& file, uint64_t offset, uint64_t size, bool writable);
// The same of an open file; locks on it live as long as the device.
LoopDevice attach_loop(int image, const std::string& file, uint64_t offset, uint64_t size, bool writable);

// Read-only, and shared: a device that another of our containers has of the same bytes of the same file is used again,
// so that all of them have one superblock and one page cache. A file that was written to meanwhile (its ctime tells)
// gets another device. For file systems whose reader leaves no trace: an ext3's journal wants a reader of its own.
inline bool may_share_loop(const std::string& type, bool writable) {
    return !writable && type.compare(0, 3, "ext") != 0;
}
LoopDevice share_loop(const std::string& file, uint64_t offset, uint64_t size);

}  // namespace launcher
