// The bundle's config.json (OCI runtime-spec 1.0.2) of a LaunchSpec.
//
// The root file system is complete when the runtime starts: the same code as native's makes it, with the same rules for
// links, missing places and layers. What is left for the runtime are the mounts that belong to its namespaces.
#pragma once
#include <string>
#include <vector>

#include "family/spec.hpp"

namespace oci_runtime {

struct RuntimeMount {
    std::string destination, type, source;
    std::vector<std::string> options;
};

// What the LaunchSpec does not say, or says otherwise.
struct Bundle {
    std::string root;  // absolute path of the finished tree
    bool read_only = true;
    bool terminal = false;
    std::vector<std::string> args;  // the first program, with its arguments
    std::string cwd = "/";
    uint32_t uid = 0, gid = 0;
    std::vector<uint32_t> groups;
    uint32_t umask = 022;
    uint64_t capabilities = 0;        // of the bounding set
    bool bounding_only = false;       // the other sets are empty
    bool new_user_namespace = false;  // below the one that the runtime runs in, with these
    std::vector<launcher::Mapping> uids, gids;
    std::vector<RuntimeMount> mounts;
    bool keep_groups = false;  // those of the caller, which a user namespace cannot name
    // Of its own, where the runtime makes one, with linux.resources; "" = none. All devices are allowed in it unless
    // the LaunchSpec says otherwise: what is in /dev decides.
    std::string cgroup;
};

// `launch_spec` is the document that `spec` was read from.
std::string config_json(const launcher::Spec& spec, const Bundle& bundle, std::string_view launch_spec);
// A process that joins: the member "process" alone.
std::string process_json(const launcher::Spec& spec, const Bundle& bundle);

}  // namespace oci_runtime
