// What is to be built, as a definition that a builder can read.
#pragma once
#include <singularity/command.hpp>
#include <string>
#include <utility>
#include <vector>

namespace remote_build {

using singularity::Code;
using singularity::Error;

struct Source {
    std::string definition;          // base64
    std::vector<std::string> files;  // of this machine, as the definition writes them (patterns, relative paths)
};

// `source` is a definition file or a URI; `options` those of the command line. Throws for what only this machine has:
// images, directories, archives, the images of an engine.
Source read_source(const std::string& source, const std::vector<std::pair<std::string, std::string>>& options);

// The document of singularity/definition.h. Throws Code::usage for a stage that stands on something of this machine.
Source source_of_document(const std::string& json, const std::string& name);
// The text of the definition for a URI. Throws Code::usage for what is none, or is of this machine.
std::string definition_of_uri(const std::string& uri);

}  // namespace remote_build
