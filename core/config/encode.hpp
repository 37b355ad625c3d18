// Writes the compiled index (index.hpp reads it).
#pragma once
#include <string>

#include "config/model.hpp"

namespace sg {

// Throws Code::limit when it does not fit (256 MiB).
std::string encode_index(const model::Configuration& configuration);

// The same checksum that `Index::over` verifies; for tests and the fuzz target, which repair it.
void seal_index(std::string& bytes);

}  // namespace sg
