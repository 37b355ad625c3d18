// Whether newuidmap(1) and newgidmap(1) give the calling process subordinate ids: what can be seen without running
// them does not tell all (an account without a name, ranges that they refuse), and whoever has written one map of a
// user namespace and gets no other cannot go back.
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

// Why a program that is there to give rights gives this process none, and what to change; "" = it is not known.
struct Withheld {
    std::string why, cure;
};
Withheld rights_withheld(const std::string& program);

}  // namespace sg::runtime
