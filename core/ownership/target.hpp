// A process that waits for the answer to a system call: its memory, its files, its paths.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/unique_fd.hpp"
#include "ownership/mounts.hpp"
#include "ownership/resolve.hpp"

namespace sg::ownership {

// All goes through its directory of /proc, opened once: when the process has ended, and its number is somebody else's,
// that directory is empty. So one question whether the call still waits, after the opening, holds for all that follows.
class Target {
public:
    // `mounts` outlives it.
    Target(pid_t thread, const Mounts& mounts);
    explicit operator bool() const { return static_cast<bool>(proc_); }

    // Of its memory; nothing when it is not readable there, or a text has no end within `most` bytes.
    bool read(uint64_t address, void* to, size_t size);
    std::optional<std::string> text(uint64_t address, size_t most);
    bool write(uint64_t address, const void* from, size_t size);

    // The file of one of its descriptors (O_PATH); none, with errno: EXDEV where it may not be asked about
    // (mounts.hpp).
    UniqueFd descriptor(int32_t fd) const;
    // The open file itself, with its position; none where it cannot be had (pidfd_getfd(2)).
    UniqueFd shared_descriptor(int32_t fd) const;
    UniqueFd working_directory() const;  // O_PATH; none, with errno
    // As the *at calls mean it. 0 or an errno; EXDEV as above.
    int place(int32_t directory, const std::string& path, bool follow, Place& out) const;
    int object(int32_t directory, const std::string& path, bool follow, UniqueFd& out) const;
    mode_t mask() const;
    bool has_capability(int capability) const;  // among its effective ones
    // Whether it knows itself by this number, as thread or as process.
    bool is_own_number(int32_t pid) const;

private:
    bool may_enter(int object) const { return mounts_.may_enter(object, proc_.get()); }
    UniqueFd entered(UniqueFd object) const;  // none, with EXDEV, where it may not be asked about
    bool open_memory();
    int viewpoint(int32_t directory, const std::string& path, Viewpoint& out, UniqueFd& root, UniqueFd& start) const;
    std::string status_line(const char* name) const;

    const Mounts& mounts_;
    UniqueFd proc_, memory_;
};

}  // namespace sg::ownership
