// Capabilities by their names in the runtime-spec.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace launcher {

// The bit of "CAP_CHOWN"; 0 for a name that is not known.
uint64_t capability_bit(std::string_view name);
// The other way round; "" for a number that has no name here.
std::string capability_name(unsigned number);

}  // namespace launcher
