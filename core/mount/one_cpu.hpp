// Two processes that take turns, one that asks and one that answers, on one processor.
//
// Why: to wake a process on another processor takes an interrupt there, and in a virtual machine two exits to the
// hypervisor; with one processor it is a switch. Measured on 2 virtual cores: 80 requests of a container's start to the
// FUSE server take 9 ms on two processors and 1.5 ms on one. For times in which nobody else is served.
#pragma once
#include <sched.h>

namespace sg {

class OneCpu {
public:
    // The calling thread, and what it starts, keep to the processor on which it runs, or to another one than `busy`
    // that it may use, if there is one. Where that is refused nothing changes.
    explicit OneCpu(int busy = -1) noexcept;
    ~OneCpu() { release(); }
    OneCpu(const OneCpu&) = delete;
    OneCpu& operator=(const OneCpu&) = delete;

    // The calling thread may run on every processor of its cpuset, also in a process forked meanwhile, with its copy of
    // the object. Not only where it could before: a launcher of ranks binds each to its core, and the first one's
    // server serves them all.
    void release() noexcept;

private:
    bool kept_ = false;
};

}  // namespace sg
