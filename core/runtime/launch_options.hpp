// What somebody asked for with exec, run, shell or test, after parsing: the command line and its variables.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/binds.hpp"
#include "runtime/host_files.hpp"
#include "runtime/resources.hpp"

namespace sg::runtime {

struct OverlayOption {
    std::string path;
    bool read_only = false;
};

// Of a container that runs under a name; what title and files mean: docs/launch-spec.md, "container".
struct InstanceFacts {
    std::string name, title, out, err;
};

struct LaunchOptions {
    std::string action;                  // "exec", "run", "shell", "test"
    std::vector<std::string> arguments;  // after the image
    std::string app, shell;

    std::vector<Bind> binds;
    std::vector<OverlayOption> overlays;
    std::vector<FuseMount> fuse_mounts;
    std::optional<std::string> home;  // SRC[:DEST]
    bool no_home = false;
    std::string devices;  // the directory that is shown as /dev in place of the host's
    std::vector<std::string> no_mount;  // words of `--no-mount`, or destinations of configured binds
    std::vector<std::string> scratch;
    std::string workdir;
    std::optional<std::string> cwd;
    std::vector<std::string> dns;

    bool contain = false, writable = false, writable_tmpfs = false;
    bool user_namespace = false, pid = false, ipc = false, uts = false, net = false, no_init = false;
    std::string hostname;
    std::string network_namespace;  // --netns-path
    std::vector<std::string> networks, network_arguments;  // of CNI; no networks: a loopback device alone
    bool fakeroot = false, ignore_subuid = false, ignore_fakeroot_command = false;
    bool no_privileges = false, keep_privileges = false, allow_setuid = false;
    std::string add_capabilities, drop_capabilities;  // lists of names
    std::vector<std::string> security;                // "uid:N", "seccomp:FILE", ...

    bool clean_environment = false, no_eval = false;
    std::vector<std::pair<std::string, std::string>> environment;       // --env, in order
    std::vector<std::pair<std::string, std::string>> file_environment;  // --env-file, in order
    std::vector<std::string> no_environment;                            // names not to pass

    std::optional<InstanceFacts> instance;  // started under a name, or joining one (then no title)

    HostFiles host_files;  // for --nv and its kin
    Resources resources;

    unsigned script_timeout = 60;  // seconds
    std::vector<std::pair<std::string, std::string>> origins;  // setting, where it comes from
};

}  // namespace sg::runtime
