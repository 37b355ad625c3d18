// The configuration keys of core: name, type, built-in default, meaning. Plugins add theirs in manifests.
#pragma once
#include <vector>

#include "config/model.hpp"

namespace sg {

// Sorted as an administrator reads them. Each key also reads SINGULARITY_KEY (dots as underscores).
const std::vector<model::Key>& core_schema();

// A value as it is kept: booleans "true" or "false", integers in decimal (K, M, G, T multiply by powers of
// 1024). Throws Code::invalid saying what is expected.
std::string canonical(const std::string& value, ValueType type, const std::vector<std::string>& choices);

// The same, and what else this key's values must be: rules of policies, NAME=VALUE, ...
std::string canonical_value(std::string_view key, const std::string& value, ValueType type,
                            const std::vector<std::string>& choices);

// The variable that a key reads besides its own ones: "build.threads" -> "BUILD_THREADS".
std::string variable_of_key(std::string_view key);

}  // namespace sg
