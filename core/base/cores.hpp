// How many processors this process may use.
#pragma once

namespace sg {

// The affinity mask, and the CPU quota of the process's cgroup (v2) where there is one; at least 1.
unsigned usable_cores();

}  // namespace sg
