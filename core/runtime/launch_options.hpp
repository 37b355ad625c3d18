// What somebody asked for with exec, run, shell or test, after parsing: the command line and its variables.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/binds.hpp"

namespace sg::runtime {

struct LaunchOptions {
    std::string action;                  // "exec", "run", "shell", "test"
    std::vector<std::string> arguments;  // after the image
    std::string app, shell;

    std::vector<Bind> binds;
    std::optional<std::string> home;  // SRC[:DEST]
    bool no_home = false;
    std::vector<std::string> no_mount;  // words of `--no-mount`, or destinations of configured binds
    std::vector<std::string> scratch;
    std::string workdir;
    std::optional<std::string> cwd;
    std::vector<std::string> dns;

    bool contain = false, writable = false, writable_tmpfs = false;
    bool user_namespace = false, pid = false, ipc = false, uts = false, net = false, no_init = false;
    std::string hostname;
    bool no_privileges = false;

    bool clean_environment = false, no_eval = false;
    std::vector<std::pair<std::string, std::string>> environment;       // --env, in order
    std::vector<std::pair<std::string, std::string>> file_environment;  // --env-file, in order
    std::vector<std::string> no_environment;                            // names not to pass

    unsigned script_timeout = 60;  // seconds
    std::vector<std::pair<std::string, std::string>> origins;  // setting, where it comes from
};

}  // namespace sg::runtime
