// A host for one plugin: every service of host.h, definition.h and state.h, with nothing behind them but memory and a
// temporary directory.
#pragma once
#include <singularity/host.h>

#include <atomic>
#include <list>
#include <mutex>
#include <string>
#include <vector>

#include "child.hpp"
#include "subject.hpp"

struct sg_task {
    std::string label;
    uint64_t total = 0, done = 0;
    bool ended = false, wrong_end = false, late = false;
    std::mutex mutex;
};

// The token that the kit hands over; any thread.
struct sg_call {
    sg_call();
    ~sg_call();
    sg_call(const sg_call&) = delete;
    sg_call& operator=(const sg_call&) = delete;

    void cancel();
    // Each task that was begun has ended, once, and went no further than its total.
    void settle(conformance::Probe& probe, const std::string& where);

    std::atomic<bool> cancelled{false};
    std::atomic<uint64_t> polls{0};
    int fd = -1;
    std::mutex mutex;
    std::list<sg_task> tasks;
};

namespace conformance {

// `lame`: it has no table at all, as a host of another age might.
const sg_host* host_for(const Subject& subject, bool lame = false);

// From now on the transports and formats of this plugin are those of the host.
void host_serves(const sg_plugin& plugin);

// The plugins here that serve a format, the subject first; `name`: the format's. Others are loaded at the first
// question, and those that cannot be loaded are left out.
struct FormatPlugin {
    std::string name;
    const sg_plugin* plugin;
};
std::vector<FormatPlugin> formats_here();

}  // namespace conformance
