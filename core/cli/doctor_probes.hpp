// What this machine lets this account do, tried for real in child processes that leave nothing behind.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace sg {

// How a trial ended: which step failed, with errno; 0: all went well.
struct Trial {
    int reason = 0;
    std::string step;
    bool worked() const { return reason == 0; }
    std::string told() const;  // "mounting: Operation not permitted"
};

// `own_namespace`: first in a user namespace of its own, as ordinary users must.
Trial try_user_namespace();
Trial try_mount_namespace();  // in the namespace of users that this process is in
Trial try_fuse(bool own_namespace);                                        // open /dev/fuse and mount with it
Trial try_overlay(bool own_namespace, const std::vector<std::string>& places);  // a writable one, on the first place that is a directory
Trial try_loop_device();

// A writable directory: its file system and room. `path` need not exist: the nearest directory above counts.
struct Place {
    std::string path, file_system;
    bool writable = false, remote = false;
    unsigned long long free_bytes = 0;
};
Place look_at_place(const std::string& path);

// One line of a small file as text, "" when it cannot be read.
std::string line_of(const std::string& path);

}  // namespace sg
