// Names inside the container's root: symbolic links of the image never lead out of it.
#pragma once
#include <string>

#include "family/system.hpp"

namespace launcher {

// Opens `path` below the directory `root` as a chroot in it would (O_PATH): absolute links and ".." stay
// inside. `follow_last` false: a link at the end is opened itself. An empty Fd with errno set when
// it is not there. Uses openat2(2), and walks by itself where the kernel (before 5.6) or a filter
// does not have it.
Fd open_inside(int root, const std::string& path, bool follow_last = true);
Fd walk_inside(int root, const std::string& path, bool follow_last);  // the fallback, for tests

// The longest leading part of `path` that exists, opened, with the names that are missing below it.
struct Reached {
    Fd fd;
    std::string missing;  // "a/b", "" when all exists
};
Reached reach_inside(int root, const std::string& path);

}  // namespace launcher
