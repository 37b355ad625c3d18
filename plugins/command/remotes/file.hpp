// Reading and changing remote.yaml.
#pragma once
#include <functional>

#include "remotes/config.hpp"
#include "remotes/paths.hpp"

namespace remotes {

// What a user has: the own file with the site's remotes, and the default remote when neither names any. Without
// an own file, the token of a sylabs-token file belongs to the default remote. Throws permission, io, invalid, limit (1
// MiB).
Config read_user(const Paths& paths);
// The site's file alone; the default when there is none.
Config read_system(const Paths& paths);

// Reads, lets `change` work on it, and replaces the file atomically (mode 0600; the site's 0644). One process at a
// time. Gives the path. Throws what reading throws, and Code::permission for a home that is another user's.
std::string edit_user(const Paths& paths, const std::function<void(Config&)>& change);
std::string edit_system(const Paths& paths, const std::function<void(Config&)>& change);

// A file of at most `limit` bytes; "" when there is none. Throws permission, io, limit, invalid (not a regular file).
std::string read_small_file(const std::string& path, uint64_t limit);

}  // namespace remotes
