#include "mount/one_cpu.hpp"

namespace sg {

OneCpu::OneCpu() noexcept {
    const int here = sched_getcpu();
    if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof before_, &before_) != 0) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(here, &one);
    kept_ = sched_setaffinity(0, sizeof one, &one) == 0;
}

void OneCpu::release() noexcept {
    if (kept_) sched_setaffinity(0, sizeof before_, &before_);
    kept_ = false;
}

}  // namespace sg
