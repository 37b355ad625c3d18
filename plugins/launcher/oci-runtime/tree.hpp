// Which mounts of a LaunchSpec become part of the root file system, which are left to the runtime, and what the runtime
// is to find there.
#pragma once
#include <string>
#include <vector>

#include "config_json.hpp"
#include "family/spec.hpp"

namespace oci_runtime {

// The image's volumes, as mounts below what people bind.
void add_volumes(launcher::Spec& spec, const std::vector<std::string>& volumes);

// What the container's new namespaces show is mounted by the runtime, and what lies below it. All else is part of the
// tree.
struct Mounts {
    std::vector<launcher::Mount> tree;
    std::vector<launcher::Mount> later;
    bool message_queues = false;
};
// Before the user namespace. Throws Code::unsupported for what neither can mount.
Mounts divide(const launcher::Spec& spec);

// The mounts of config.json, `root` being open on the tree at `root_path`. `dev`: where the container's /dev is found
// in it.
std::vector<RuntimeMount> runtime_mounts(const Mounts& mounts, int root, const std::string& root_path,
                                         const std::string& dev, bool nested);

// `path` of the container as it is found in the tree: without links. "" when it is not there.
std::string resolved(int root, const std::string& root_path, const std::string& path);
// `path`, when it is a directory of the tree, else "/".
std::string directory_or_top(int root, const std::string& path);
// A regular file of the tree, whole; "" for everything else.
std::string file_of_tree(int root, const char* path);

// What runtimes stumble over on machines like this one; `session` is a directory of one's own.
void hide_second_version(const std::string& session);
void show_console(const std::string& session, const std::string& root_path, const std::string& dev);

}  // namespace oci_runtime
