// "TERM", "SIGTERM", "sigterm" or "15" to 15. Throws Code::usage.
#pragma once
#include <string>

namespace sg {

int signal_number(const std::string& text);

}  // namespace sg
