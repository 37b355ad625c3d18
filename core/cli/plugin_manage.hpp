// singularity plugin install, remove, enable, disable.
#pragma once
#include <string>

#include "cli/verb.hpp"

namespace sg {

// Each prints one line that says what was done, and leaves all as it was when it throws.

// `what`: a directory with plugin.yaml, or an archive of one.
void install_plugin(const std::string& what, bool for_user, Session& session);
void remove_plugin(const std::string& name, bool for_user, Session& session);
void switch_plugin(const std::string& name, bool enabled, bool for_user, Session& session);

}  // namespace sg
