#include "mount/one_cpu.hpp"

#include <cstring>

namespace sg {

OneCpu::OneCpu() noexcept {
    const int here = sched_getcpu();
    if (here < 0 || here >= CPU_SETSIZE) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(here, &one);
    kept_ = sched_setaffinity(0, sizeof one, &one) == 0;
}

void OneCpu::release() noexcept {
    if (!kept_) return;
    cpu_set_t all;
    std::memset(&all, 0xff, sizeof all);  // the kernel leaves out what the cpuset does not have
    sched_setaffinity(0, sizeof all, &all);
    kept_ = false;
}

}  // namespace sg
