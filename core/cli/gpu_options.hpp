// --nv, --rocm, --device and their kin: GPUs and other devices of the host.
#pragma once
#include <string>
#include <vector>

#include "cli/verb.hpp"
#include "runtime/launch_options.hpp"

namespace sg {

class GpuOptions {
public:
    void declare(Arguments& arguments);
    // Looks for what is asked for, by option or configuration, and does nothing else.
    void settle(runtime::LaunchOptions& launch, Session& session) const;

private:
    bool nv_ = false, nvccli_ = false, rocm_ = false, no_nv_ = false, no_rocm_ = false, compat32_ = false;
    std::vector<std::string> devices_, directories_, libraries_;
};

}  // namespace sg
