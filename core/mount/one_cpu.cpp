#include "mount/one_cpu.hpp"

#include <cstring>

namespace sg {

namespace {

// The next one that the thread may use; -1: there is none.
int another_than(int busy) noexcept {
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return -1;
    for (int i = 1; i < CPU_SETSIZE; ++i)
        if (CPU_ISSET((busy + i) % CPU_SETSIZE, &allowed)) return (busy + i) % CPU_SETSIZE;
    return -1;
}

}  // namespace

OneCpu::OneCpu(int busy) noexcept {
    int which = busy >= 0 && busy < CPU_SETSIZE ? another_than(busy) : -1;
    if (which < 0) which = sched_getcpu();
    if (which < 0 || which >= CPU_SETSIZE) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(which, &one);
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
