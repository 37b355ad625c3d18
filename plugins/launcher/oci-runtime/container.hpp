// The monitor of a container: makes its root file system and its bundle, has the runtime create and start it, and stays
// as parent of its first process (channel.hpp). Everything that is made lies in the memory of a mount namespace and
// vanishes with it.
#pragma once
#include <singularity/launcher.h>

#include "channel.hpp"
#include "family/network.hpp"
#include "joinable.hpp"
#include "plan.hpp"

namespace oci_runtime {

// In a child of the caller, whose `network` it joins. `errors`, `reports`: the writing ends of pipes (report.hpp, first_process.hpp). With
// `service` it outlives the caller. Neither returns.
[[noreturn]] void run_monitor(const Plan& plan, const sg_launch& launch, const launcher::Network& network,
                              const Channel& channel, launcher::Fd errors, launcher::Fd reports, bool service);
// Before the caller's child enters a control group of its own.
void start_shared_server(const Plan& plan, const sg_launch& launch);
[[noreturn]] void join_monitor(const Plan& plan, const Joinable& container, const Channel& channel, launcher::Fd errors,
                               launcher::Fd reports);

}  // namespace oci_runtime
