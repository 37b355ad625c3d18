// Paths inside of a directory in which anybody may have planted links.
#pragma once
#include <cstdint>
#include <string>

#include "base/unique_fd.hpp"

namespace sg {

// Opens `path` as if the open directory `root` were "/": no link and no ".." leads out of it (openat2 with
// RESOLVE_IN_ROOT, Linux 5.6). `flags` are open's; close-on-exec is added. Nothing, with errno, when it cannot be.
UniqueFd open_inside(int root, const std::string& path, uint64_t flags, uint64_t mode = 0);

}  // namespace sg
