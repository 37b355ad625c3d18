// Progress as people see it: bars on a terminal, one plain line for each task in a log, nothing with
// --quiet. On stderr; stdout is the program's.
#pragma once
#include <memory>

#include "base/call.hpp"

namespace sg {

std::unique_ptr<Progress> terminal_progress();

// "45.33 MiB"
std::string shown_size(uint64_t bytes);

}  // namespace sg
