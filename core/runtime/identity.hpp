// Who the container's process is and what it may do: ids and their mappings, capabilities, filters (OCI
// runtime-spec, config-linux.md and config.md, "Process").
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "config/settings.hpp"
#include "runtime/capabilities.hpp"
#include "runtime/fakeroot.hpp"
#include "runtime/launch_options.hpp"
#include "runtime/user.hpp"

namespace sg::runtime {

struct Identity {
    bool user_namespace = false;
    std::vector<IdMapping> uids, gids;           // of the user namespace
    User user;                                   // as the container knows him
    std::optional<CapabilitySet> capabilities;   // nothing: those that the machine gives
    bool no_new_privileges = true;
    std::optional<Fakeroot> fakeroot;
    std::string apparmor, selinux;               // labels of --security, "" = none
    std::string seccomp;                         // an OCI seccomp profile, JSON; "" = none
    std::vector<std::string> notes;              // for the user, as information
};

// `real_root`: uid 0 of the machine with the right to mount. `capability_file` is read only when root's
// capabilities come from it. Throws Code::usage for options that exclude each other, Code::permission for what only
// root may ask for.
Identity container_identity(const LaunchOptions& options, const Settings& settings, const User& caller, bool real_root, const std::string& capability_file);

}  // namespace sg::runtime
