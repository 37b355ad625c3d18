// Finds a compiled index that is valid and can be trusted, else compiles one and keeps it.
//
// Kept at the installation (without files of users) and in each user's cache. An index is used when
//  - it belongs to root, the owner of the program or the effective user, and nobody else may write it;
//    in a cache, also when its directory is the user's with mode 0700;
//  - its bytes are whole, of this version, for this installation and user (index_stamp);
//  - every file and directory it names has the same inode, size and time of change.
#pragma once
#include <vector>

#include "base/error.hpp"
#include "config/home.hpp"
#include "config/index.hpp"
#include "config/installation.hpp"

namespace sg {

enum class Keep {
    cache,  // an ordinary command: a new index goes to the user's cache
    site,   // `config` and `plugin` verbs: to the installation when that may be written, else as above
};

struct LoadedIndex {
    Index index;
    std::string from;  // the file it was read from; "" when it was compiled now
};

// Throws what is wrong in the configuration files. That an index cannot be kept is no error.
LoadedIndex load_index(const Installation& installation, const Home& home, Keep keep = Keep::cache);

// The index of what is right in the configuration files, with what is not as `problems`; kept nowhere.
Index index_of_what_can_be(const Installation& installation, const Home& home, std::vector<Error>& problems);

// Compiles and writes the installation's index; throws when it cannot be written (run at install).
void write_site_index(const Installation& installation);

// True when each file that `index` names is as it was; for tests and `plugin list`.
bool index_is_current(const Index& index);

}  // namespace sg
