// remote.yaml as text: read as Go's strict decoder reads it, written as its encoder writes it.
#pragma once
#include "remotes/config.hpp"

namespace remotes {

// Throws Code::invalid with file and line for a wrong type or a key that nobody knows (other tools refuse the file too,
// and writing would lose it). Quotes no value.
Config parse_config(const std::string& text, const std::string& file);
std::string print_config(const Config& config);

}  // namespace remotes
