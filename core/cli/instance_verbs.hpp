// What stands below "singularity instance", beside start and run.
#pragma once
#include <cstdint>
#include <string>

#include "cli/instance_access.hpp"
#include "cli/signal_names.hpp"

namespace sg {

struct StopOptions {
    std::string name, user, signal;
    bool all = false, force = false;
    int64_t timeout = 10;  // seconds until SIGKILL
};
int stop_instances(const StopOptions& options, Session& session);

struct StatsOptions {
    std::string name, user;
    bool once = false, json = false;
};
int show_instance_stats(const StatsOptions& options, Session& session);

}  // namespace sg
