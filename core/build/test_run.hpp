// `%test` of an image, as `singularity test` runs it, with a layer in memory that takes what it writes.
#pragma once
#include <string>

#include "plugin/host.hpp"

namespace sg {

// The wait(2) status.
int run_test_of(PluginHost& plugins, const std::string& image, const std::string& prefix, const std::string& plugin_directory,
                const sg_call* call);

}  // namespace sg
