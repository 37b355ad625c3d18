// The last steps of a start, inside the container: working directory, the image's environment, the program.
#pragma once
#include "family/spec.hpp"

namespace launcher {

// A program started with a closed descriptor 0, 1 or 2 would get our files there.
void open_standard_descriptors();

// From inside all namespaces and with the container's rights to its program. Throws what the user is to read.
[[noreturn]] void become_payload(const Spec& spec);

}  // namespace launcher
