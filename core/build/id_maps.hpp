// The user namespace of a build by an ordinary user: which ids it has (user_namespaces(7), subuid(5)).
#pragma once
#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

namespace sg {

struct SubordinateRange {
    uint32_t first = 0, count = 0;
};

// The range of /etc/subuid or /etc/subgid text for a user: exactly 65536 ids before the largest with at least that many.
// A line that begins with "!" is switched off.
std::optional<SubordinateRange> subordinate_range(const std::string& text, const std::string& name, uint32_t uid);

// Writes the maps of the process `child`, which has just made its user namespace, by newuidmap and newgidmap: 0 is the
// caller, 1 to 65536 the subordinate ids. False: the caller has none, or the programs
// are not there or do not work; nothing is written then.
bool map_subordinate_ids(pid_t child);

// In a process that has just made its user namespace: 0 is the caller, nothing else is there.
void map_root_only(uid_t uid, gid_t gid);

// Runs `work` in a child with the rights over files that a build of this user makes: a user namespace for an ordinary
// user. False when it failed; what it wrote to stderr is shown.
bool run_as_build_root(const std::function<void()>& work);

// Root of the machine, not only of a user namespace.
bool is_machine_root();

}  // namespace sg
