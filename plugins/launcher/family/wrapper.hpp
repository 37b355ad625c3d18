// A program of the host in front of the container's (the command fakeroot).
#pragma once
#include "family/action.hpp"
#include "family/spec.hpp"

namespace launcher {

// Puts the spec's wrapper in front of the command, when this container can start it: it is a script for /bin/sh, and
// its programs need the C library that they were made for. A warning otherwise.
void wrap(const Spec& spec, CommandLine& command);

}  // namespace launcher
