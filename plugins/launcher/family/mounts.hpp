// mount(2) and kin by descriptors, with the kernel's newer calls where they exist.
#pragma once
#include "family/spec.hpp"
#include "family/system.hpp"

namespace launcher {

struct Flags {
    bool recursive = false, read_only = false, no_suid = false, no_dev = false, no_exec = false;
    bool keep_link = false;  // of a symbolic link the link itself is bound, where the kernel can (Linux 5.12)
};

// Binds `source` (a path) onto what `target` is open on, then sets the flags in addition to the
// source's own. Returns false with errno when the bind itself was refused. Flags that a user
// namespace refuses are tolerated; a lost "read-only" is reported in `warning`.
bool bind(const std::string& source, int target, const Flags& flags, std::string& warning);

// A new file system `type` on what `target` is open on; false with errno when refused.
bool mount_new(const char* type, int target, unsigned long ms_flags, const std::string& data);

// Puts a detached mount on what `target` is open on; false with errno when refused.
bool put_mount(int mount, int target);

// Propagation of everything in this mount namespace: "rslave", "rprivate".
void set_propagation(const std::string& how);

// The session's memory: a tmpfs on the first of `places` that is a directory, never on disk. Files and
// directories below it are made by name relative to its descriptor.
struct Session {
    std::string path;
    Fd fd;
};
Session make_session(const std::vector<std::string>& places, uint64_t bytes);

}  // namespace launcher
