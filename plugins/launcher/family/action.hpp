// What the container's process is to execute (the image's runscript, a shell, a command), and executing it.
#pragma once
#include "family/environment.hpp"
#include "family/spec.hpp"

namespace launcher {

struct CommandLine {
    std::vector<std::string> words;  // never empty
    bool search = false;             // words[0] without '/' is looked up in PATH
};

// Decides; may change `variables` (SHELL for `shell`). Throws what the user is to read.
CommandLine command_for(const Spec& spec, Variables& variables);

// An OCI runscript by our own interpreter; an empty list when it says to run nothing. Throws NotUnderstood.
std::vector<std::string> interpret_runscript(const std::string& path, const std::vector<std::string>& arguments, const Variables& variables);
bool is_oci_runscript(const std::string& text);

// The file that execvp would take, or "" with errno.
std::string find_program(const std::string& name, const std::string& path);

// Replaces the process. Returns never; throws when that fails.
[[noreturn]] void execute(const CommandLine& command, const Variables& variables, const std::string& image_arch);

}  // namespace launcher
