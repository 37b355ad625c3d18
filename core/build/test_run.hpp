// `%test` of an image, as `singularity test` runs it, with a layer in memory that takes what it writes; as root with a
// /dev of its own, as %post has.
#pragma once
#include <string>

#include "build/host_share.hpp"
#include "plugin/host.hpp"

namespace sg {

// The wait(2) status. `work` is an empty directory.
int run_test_of(PluginHost& plugins, const std::string& image, const std::string& prefix,
                const std::string& plugin_directory, const std::string& work, const HostShare& share,
                const sg_call* call);

}  // namespace sg
