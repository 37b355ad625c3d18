// A filter of system calls from an OCI seccomp profile (runtime-spec, config-linux.md "Seccomp", and the form of
// container engines with "archMap", "includes" and "excludes"). libseccomp is loaded only when one is asked for.
#pragma once
#include <linux/filter.h>

#include <string>
#include <vector>

namespace native {

class SeccompFilter {
public:
    // Throws Code::unsupported without the library, Code::invalid for a profile that cannot be understood.
    void build(const std::string& profile);
    // Nothing when there is none. The calls that follow are filtered.
    void apply() const;

private:
    std::vector<sock_filter> program_;
};

}  // namespace native
