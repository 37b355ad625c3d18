// Directories of the cache: the user's alone, real ones, made as they are needed.
#pragma once
#include <string>

namespace sg {

// Makes the last component, mode 0700; a parent must be there. Throws Code::invalid when something that is no
// directory (a link is none) has the name, Code::permission and the like when it cannot be made.
void make_private_directory(const std::string& path);

// Every parent of `root` as `mkdir -p` does, and then `root` itself, 0700. `root` may be a link to a directory of
// the user's: a home is small, and caches are moved.
void make_cache_root(const std::string& root);

}  // namespace sg
