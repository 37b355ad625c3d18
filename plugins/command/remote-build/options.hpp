// What the command line asks of a remote build.
#pragma once
#include <singularity/command.hpp>
#include <string>
#include <vector>

namespace remote_build {

using singularity::Code;
using singularity::Error;

struct Options {
    std::string target, source;
    std::string builder, library;  // addresses, "" = the active remote's
    std::string arch;              // as Go names it: "amd64"
    bool detached = false, force = false;
    std::vector<std::string> left_out;  // credentials that stay here, as "--docker-username"
};

// `machine` is uname's, for who names no architecture. Throws Code::usage for what makes no sense there.
Options parse_options(const singularity::Invocation& invocation, const std::string& machine);

// "x86_64" -> "amd64"; what it does not know stays as it is.
std::string go_arch(const std::string& name);

}  // namespace remote_build
