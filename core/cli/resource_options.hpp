// --apply-cgroups, --cpus, --memory and their kin: limits of a container.
#pragma once
#include <string>
#include <vector>

#include "cli/verb.hpp"
#include "runtime/launch_options.hpp"

namespace sg {

class ResourceOptions {
public:
    void declare(Arguments& arguments);
    void settle(runtime::LaunchOptions& launch) const;  // options win over the file

private:
    std::string file_, cpus_, cpu_shares_, cpuset_cpus_, cpuset_mems_, memory_, reservation_, swap_, pids_, weight_;
    std::vector<std::string> device_weights_;
    bool oom_kill_disable_ = false;
};

}  // namespace sg
