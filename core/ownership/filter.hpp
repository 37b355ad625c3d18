// The system calls of calls.hpp asked of a supervisor, for a process that no launcher starts.
#pragma once
#include <linux/filter.h>

#include <string>
#include <vector>

#include "ownership/calls.hpp"

namespace sg::ownership {

// The program for the kernel (seccomp(2), bpf): what profile() says in JSON.
std::vector<sock_filter> filter_program(Scope scope = {});

// From now on this process and those that it starts have these calls answered by the supervisor that listens in the
// directory `work`. One thread; needs CAP_SYS_ADMIN in its user namespace. Throws system errors.
void ask_supervisor(const std::string& work, Scope scope = {});

}  // namespace sg::ownership
