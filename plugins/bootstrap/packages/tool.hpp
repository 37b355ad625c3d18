// Programs of the machine that fill a root file system.
#pragma once
#include <singularity/host.hpp>
#include <string>
#include <utility>
#include <vector>

namespace packages {

// Where programs are looked for: users' PATH often lacks the sbin directories.
bool has_tool(const std::string& name);
// Throws Code::not_found: "NAME is not installed on this machine", and which of Debian's packages has it.
void need_tool(const std::string& name, const std::string& package);

// Runs it, its output on stderr, and gives its exit status; a signal, or a program that is not there, throws Code::io. It is killed
// when the call is cancelled or we end. Call it where no thread runs, as in a recipe.
int run_tool(std::vector<std::string> words, const std::vector<std::pair<std::string, std::string>>& environment, const singularity::Host& host);

// The same where any status but 0 is Code::io.
void must_run(std::vector<std::string> words, const std::vector<std::pair<std::string, std::string>>& environment, const singularity::Host& host);

// Are ids those of a user namespace? Then nobody makes device nodes.
bool in_user_namespace();

}  // namespace packages
