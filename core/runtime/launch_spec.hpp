// From options, settings and an image to a LaunchSpec (docs/launch-spec.md).
#pragma once
#include <singularity/format.h>

#include <string>

#include "config/settings.hpp"
#include "runtime/environment.hpp"
#include "runtime/launch_options.hpp"
#include "runtime/mounts.hpp"

namespace sg::runtime {

struct ExtraFacts {
    std::string role;  // "overlay" or "data"
    sg_mount_plan plan{};
    bool writable = false;  // it is to be written to
};

struct ImageFacts {
    std::string path;     // absolute, as people name it
    sg_mount_plan plan{};
    std::string arch;
    std::vector<ExtraFacts> extra;  // overlays in their order, then data in the order of the binds
};

struct Machine {  // what the caller's process is; see this_machine()
    User user;
    std::string cwd;
    bool root = false;  // uid 0 with the rights to mount
    std::vector<std::string> session_places;
    std::string conf_directory;  // of the installation: capability.json, network/
    const char* const* environment = nullptr;
};

// `prefix` of the installation: its var/singularity/mnt/session is the first place for the session.
Machine this_machine(const std::string& prefix, const std::string& plugin_directory, const std::string& conf_directory = {});

struct LaunchSpec {
    std::string json;
    bool child = false;  // the launcher must run it as a child instead of becoming it
    std::vector<std::string> warnings, notes;
};

// Throws Code::usage for options that exclude each other, Code::permission for what settings forbid.
LaunchSpec make_launch_spec(const LaunchOptions& options, const Settings& settings, const ImageFacts& image, const Machine& machine,
                            bool pretty = false);

}  // namespace sg::runtime
