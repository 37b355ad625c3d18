// What `singularity config` does, one file for each action.
#pragma once
#include <string>
#include <vector>

#include "cli/verb.hpp"

namespace sg {

// config show [KEY]: the values in effect. `origin`: with where each comes from.
int show_configuration(const std::string& key, bool origin, Session& session);

// config check: reads every file anew and tells all that is wrong at once; 255 when anything is.
int check_configuration(Session& session);
// config check --for REFERENCE|IMAGE: what the site's policies would say; 255 when they refuse.
int check_permission(const std::string& what, Session& session);

// config import FILE: prints what another product's file means here, or adds it to conf.d as `name` ("" = print).
int import_file(const std::string& file, const std::string& name, Session& session);

// config schema: a JSON Schema of configuration files, plugins' keys included.
int print_schema(Session& session);

}  // namespace sg
