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
    void declare_gpus(Arguments& arguments);                // those alone, without the finer ones
    bool asked() const { return nv_ || nvccli_ || rocm_; }  // for GPUs, by an option
    // Looks for what is asked for, by option or configuration, and does nothing else.
    void settle(runtime::LaunchOptions& launch, Session& session) const;
    void settle_gpus(runtime::LaunchOptions& launch, Session& session) const;  // after declare_gpus

private:
    void find_gpus(runtime::LaunchOptions& launch, Session& session) const;
    static void tell(runtime::LaunchOptions& launch);

    bool nv_ = false, nvccli_ = false, rocm_ = false, no_nv_ = false, no_rocm_ = false, compat32_ = false;
    std::vector<std::string> devices_, directories_, libraries_;
};

}  // namespace sg
