// exec, run, shell and test in a container that runs under a name: "instance://NAME" in place of the image.
#pragma once
#include <string>

#include "cli/verb.hpp"
#include "runtime/launch_options.hpp"

namespace sg {

bool names_instance(const std::string& image);
// Returns the exit code with `dry_run` alone (`as_text`: for people), and throws else: the process becomes one of the container.
int join_instance(runtime::LaunchOptions options, const std::string& image, bool dry_run, bool as_text, Session& session);

}  // namespace sg
