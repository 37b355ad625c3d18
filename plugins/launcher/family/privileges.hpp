// Rights of the container's process (capabilities(7), prctl(2) "PR_SET_NO_NEW_PRIVS", seccomp(2)).
#pragma once
#include <optional>

#include "family/seccomp.hpp"
#include "family/spec.hpp"
#include "family/system.hpp"

namespace launcher {

class Privileges {
public:
    // Outside of the container's root, where libraries and /proc of the host are: prepares filter and labels.
    // Throws for what the kernel does not have.
    void prepare(const Spec& spec);
    // User and groups, no_new_privs, capabilities, labels, at last the filter. Capabilities that this process does not
    // have itself are left out.
    void apply(const Spec& spec);

private:
    Fd proc_;
    SeccompFilter filter_;
};

}  // namespace launcher
