// Whether newuidmap(1) and newgidmap(1) give the calling process subordinate ids: their files and modes do not tell
// (no_new_privs, a bounding set, nosuid, an account without a name), and whoever has written one map of a user
// namespace and gets no other cannot go back.
#pragma once
#include <string>

#include "runtime/subordinate_ids.hpp"

namespace sg::runtime {

struct IdMapTrial {
    std::string program;  // the one that failed; "": both worked, or there are no user namespaces to try it in
    std::string said;     // its first line of messages
    bool worked() const { return program.empty(); }
};

// Maps the first `subordinate_count` ids of both in a user namespace that ends with the trial. The programs are paths,
// or names to be found in PATH.
IdMapTrial try_subordinate_ids(const std::string& newuidmap, const std::string& newgidmap, const SubordinateIds& ids);

}  // namespace sg::runtime
