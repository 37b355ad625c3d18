// Options and arguments of a verb, and what it prints.
#pragma once
#include "remotes/line.hpp"

namespace signing {

using remotes::Line;
using remotes::print;

// The only argument; throws Code::usage otherwise. `what` is its name in the usage line.
inline const std::string& only_argument(const Line& line, const char* what) { return line.arguments(1, 1, what).front(); }

// Text as a JSON string, with its quotes.
std::string quoted(std::string_view text);

}  // namespace signing
