// Files for a package manager.
#pragma once
#include <singularity/host.hpp>
#include <string>

namespace packages {

// A new file with this text. Throws Code::io and Code::no_space.
void write(const std::string& path, const std::string& text, unsigned mode = 0644);

// A home for programs of rpm, which the host removes at the end: Debian's rpm keeps its database in the user's home, and an image
// has it where its own rpm looks for it.
std::string rpm_home(const singularity::Host& host);

}  // namespace packages
