// Containers that run under a name: starting, joining, signals, state (launcher.h). `directory` is the one that the
// host keeps for the container; its last part is the name.
#pragma once
#include <functional>
#include <string>

#include "family/network.hpp"
#include "family/service.hpp"
#include "family/spec.hpp"

namespace launcher {

// `contain(errors, reports, service)` makes the container in the process that it is called in (a child) and never
// returns. Answers the first process, once the program in it was started; `network` lives as long as that.
pid_t start_instance(const std::string& directory, const Spec& spec, Network& network, const std::function<void(int errors, int reports, Service& service)>& contain);

// Enters the namespaces and the root of the running container, then calls `payload`, which does not return but
// throws. Does not return either: the caller's process waits for the one inside and ends as it does.
[[noreturn]] void join_instance(const std::string& directory, const std::function<void()>& payload);

void signal_instance(const std::string& directory, int signal);
// OCI runtime-spec, "State", as JSON; `pid` is 0 for a container of another PID namespace.
std::string instance_state(const std::string& directory);
// Forgets it. Refused while it runs.
void forget_instance(const std::string& directory);

}  // namespace launcher
