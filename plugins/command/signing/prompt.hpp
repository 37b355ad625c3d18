// Questions to the person at the terminal; without one, answers are lines of standard input.
#pragma once
#include <string>

namespace signing {

// The answer without its newline; throws Code::invalid at the end of input.
std::string ask(const std::string& question);
// The same, not shown while it is typed.
std::string ask_secret(const std::string& question);

}  // namespace signing
