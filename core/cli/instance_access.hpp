// Instances for the verbs that use them: whose they are, and what their launchers say of them.
#pragma once
#include <string>
#include <vector>

#include "cli/verb.hpp"
#include "runtime/instances.hpp"

namespace sg {

// Those of the effective user, or of `user` ("" = oneself), which only root may ask for.
runtime::Instances instances_of(const std::string& user = {});

// The launcher that is configured, or the first one registered.
std::string launcher_name(Session& session);

// Whether it runs, by its launcher; its `pid` is set to what that says.
bool instance_runs(Session& session, runtime::Instance& instance);
runtime::Instances::Launchers launchers_of(Session& session);

// To its first process. One that has ended meanwhile is no failure.
void signal_instance(Session& session, const runtime::Instance& instance, int number);

// Those that fit the pattern; throws Code::not_found when there are none.
std::vector<runtime::Instance> need_instances(Session& session, const runtime::Instances& all, const std::string& pattern);

}  // namespace sg
