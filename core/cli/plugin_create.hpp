// singularity plugin create: a new plugin's project, made from a template.
#pragma once
#include <string>

#include "cli/verb.hpp"

namespace sg {

struct NewPlugin {
    std::string name;      // a-z, 0-9 and '-', beginning with a letter
    std::string kind;      // of a template, as "bootstrap"
    std::string language;  // "c++" or "c"
};

// Makes the directory `name` where the user stands, whole or not at all, out of the templates in
// PREFIX/share/singularity/templates/KIND-LANGUAGE. Code::usage for a name, kind or language that is not possible,
// Code::exists when something of that name is there or a plugin of that name is registered.
void create_plugin(const NewPlugin& plugin, Session& session);

}  // namespace sg
