// singularity plugin install, remove, enable, disable.
#pragma once
#include <string>

#include "cli/verb.hpp"
#include "config/model.hpp"

namespace sg {

// Throws Code::not_found, with a name that is near as a hint.
PluginView need_plugin(const Index& index, const std::string& name);
// Throws unless the object of a manifest can be read. `what` is what the user named: a directory, an object or an
// archive.
void need_object(const model::Plugin& plugin, const std::string& what);

// Each prints one line that says what was done, and leaves all as it was when it throws.

// `what`: a directory with plugin.yaml, or an archive of one.
void install_plugin(const std::string& what, bool for_user, Session& session);
void remove_plugin(const std::string& name, bool for_user, Session& session);
void switch_plugin(const std::string& name, bool enabled, bool for_user, Session& session);

}  // namespace sg
