// A filter of system calls from an OCI seccomp profile (runtime-spec, config-linux.md "Seccomp", and the form of
// container engines with "archMap", "includes" and "excludes"). libseccomp is loaded only when one is asked for.
//
// SCMP_ACT_NOTIFY asks whoever listens on the local socket "listenerPath": it gets the container process state of the
// runtime-spec with the listener's descriptor ("seccompFd").
#pragma once
#include <linux/filter.h>

#include <string>
#include <vector>

#include "family/system.hpp"

namespace launcher {

class SeccompFilter {
public:
    // Throws Code::unsupported without the library, Code::invalid for a profile that cannot be understood. Connects to
    // the listener, where there is one.
    void build(const std::string& profile);
    // Nothing when there is none. The calls that follow are filtered.
    void apply();

private:
    std::vector<sock_filter> program_;
    Fd listener_;  // connected
    std::string metadata_;
};

}  // namespace launcher
