// What `help` shows of all there is.
#pragma once
#include <string>
#include <vector>

#include "cli/dispatch.hpp"

namespace sg {

std::string overview(const Context& context);
std::string overview_manual(const Context& context);  // the same as singularity(1)

// Runs a verb by name: of core, of the module, or of a plugin. Throws Error.
int run_named(const std::string& verb, std::vector<std::string> arguments, Context& context);

}  // namespace sg
