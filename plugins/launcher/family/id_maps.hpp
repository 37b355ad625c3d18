// The id mappings of a new user namespace that need another's rights: more ids than one's own (newuidmap(1),
// newgidmap(1)).
#pragma once
#include <sys/types.h>

#include "family/spec.hpp"
#include "family/system.hpp"

namespace launcher {

// True when an unprivileged process may write them by itself: its own id alone.
bool are_own_ids(const Spec& spec);

// Made before unshare(CLONE_NEWUSER), as only a process outside may start the two programs; finish() after it.
class IdMapper {
public:
    explicit IdMapper(const Spec& spec);
    IdMapper(const IdMapper&) = delete;
    IdMapper& operator=(const IdMapper&) = delete;
    ~IdMapper();
    void finish();  // throws with what the program said

private:
    pid_t child_ = -1;
    Fd go_, result_;
};

}  // namespace launcher
