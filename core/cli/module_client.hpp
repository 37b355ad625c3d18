// The executable's side of the internal module (module.h).
#pragma once
#include <string>
#include <vector>

#include "cli/dispatch.hpp"

namespace sg {

// Loads the module and runs a heavy verb in this process; the exit code. Throws when it cannot be loaded.
int run_in_module(const std::string& verb, const std::vector<std::string>& arguments, const Context& context);

// From a URI to a local image path, by the module in a child process.
std::string fetch_in_child(const Context& context, const std::string& uri, const Pairs& options);
// From an image file to a directory with what it holds, likewise.
std::string unpack_in_child(const Context& context, const std::string& image);
// The digest ("sha256:...") of a file, likewise.
std::string digest_in_child(const Context& context, const std::string& file);
// The archive of a plugin, unpacked into the empty directory `into`, likewise.
void unpack_plugin_in_child(const Context& context, const std::string& archive, const std::string& into);

}  // namespace sg
