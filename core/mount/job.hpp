// Which processes are ended together: those of one step of a batch job, of a service, of a login session.
//
// Whoever runs these kills what is left of them, by the control group (Slurm, PBS, LSF, HTCondor, systemd), by a
// supplementary group (Grid Engine) or by variables (HTCondor without root's rights) that they gave them. A server that
// lives in one must not be used by another.
#pragma once
#include <string>
#include <string_view>

namespace sg {

// Equal texts: they end together. As it was at the first call in this process or in one that it was forked from: what
// a container's own limits move to another control group belongs where it came from.
const std::string& job_of_caller();

// What counts of the text of /proc/PID/cgroup: Slurm gives each rank of a step a group of its own (".../task_3") below
// the step's, and ends steps only.
std::string job_of_groups(std::string_view text);

}  // namespace sg
