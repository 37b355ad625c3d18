// Results go to standard output, whole or with an error.
#pragma once
#include <string>

namespace sg {

void print(const std::string& text);  // throws when it cannot be written; a closed pipe ends the process

}  // namespace sg
