// The container's mounts in their order, with the settings and the options applied (tests/integration/
// runtime-sheet.rows has what a container then shows). Nothing is mounted here: the list goes into the LaunchSpec.
#pragma once
#include <string>
#include <vector>

#include "config/settings.hpp"
#include "runtime/fakeroot.hpp"
#include "runtime/launch_options.hpp"
#include "runtime/user.hpp"

namespace sg::runtime {

struct Mount {
    std::string destination, type, source, content, tag;
    std::vector<std::string> devices, sources;
    std::vector<std::string> command;  // type "fuse": the program that serves it
    bool in_container = false, daemon = false;
    bool terminals = true;  // type "dev": with a /dev/pts of its own
    bool recursive = true, read_only = false, no_suid = true, no_dev = true;
    bool replace_link = false, keep_link = false, unless_same = false, directory = true, create = true;
    uint32_t mode = 0755;
    uint32_t image = 0;  // type "image": number of the data image that `source` lies in
    std::string missing = "fail";  // or "warn", "skip"
};

struct Home {
    std::string source, destination;  // source empty: an empty directory of the session
    bool mounted = true;
};

struct MountPlan {
    std::vector<Mount> mounts;
    Home home;
    std::string cwd;           // of the process
    bool cwd_required = false;
    std::vector<std::string> warnings;
};

struct MountFacts {
    User user;
    std::string cwd;             // of the caller, "" when unknown
    bool user_namespace = false; // sysfs and devpts differ there
    uint32_t container_uid = 0;
    uint32_t first_data_image = 1;  // of the LaunchSpec; one follows for each bind of an image
    const Fakeroot* fakeroot = nullptr;  // whose command is to be shown
};

MountPlan plan_mounts(const LaunchOptions& options, const Settings& settings, const MountFacts& facts);

// A lexically clean absolute path.
std::string clean_path(std::string_view path);

}  // namespace sg::runtime
