// singularity plugin test
#pragma once
#include <string>
#include <vector>

#include "cli/verb.hpp"

namespace sg {

// Becomes the conformance kit (libexec/singularity/plugin-test) for the plugin in a directory, or of an object beside
// its manifest. `samples`: what it may use. Returns only by an error.
[[noreturn]] void test_plugin(const std::string& what, const std::vector<std::string>& samples, Session& session);

}  // namespace sg
