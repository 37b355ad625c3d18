// From a path in another process to what it means there, by that process' root and working directory.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace sg::ownership {

struct Viewpoint {
    int root = -1;   // the process' "/"
    int start = -1;  // where a relative path begins
    // Opens the process' own directory of a proc file system, for "/proc/self" and "/proc/thread-self": what those
    // links say depends on who reads them.
    std::function<UniqueFd(bool thread)> own_process;
    // Whether a file may be asked about; none: all. Where one may not, the result is EXDEV.
    std::function<bool(int object)> may_enter;
};

struct Place {
    UniqueFd object;   // O_PATH, a link itself when it was not to be followed; none: nothing has that name
    UniqueFd parent;   // O_PATH; none when the path names its start or a root
    std::string name;  // in `parent`
};

// Symbolic links are followed in the process' root, the last one when `follow` or when a "/" comes behind it; those of
// proc
// (/proc/self/fd/3) lead where the kernel says. 0 or the errno that the call is due; a missing last name is no error.
int resolve(const Viewpoint& from, std::string_view path, bool follow, Place& out);

// The object alone, in one call of the kernel where that is possible. 0 or an errno; ENOENT for a missing name.
int find_object(const Viewpoint& from, const std::string& path, bool follow, UniqueFd& out);

}  // namespace sg::ownership
