// A program that does one thing and says nothing.
#pragma once
#include <string>
#include <vector>

namespace sg {

// True when the program (found in PATH, or named by a path) ran and ended with 0; what it says is not shown.
bool run_quietly(const std::vector<std::string>& words);

}  // namespace sg
