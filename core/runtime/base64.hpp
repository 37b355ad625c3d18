// Reads base 64 (RFC 4648, section 4) with padding; singularity/text.hpp writes it.
#pragma once
#include <string>
#include <string_view>

namespace sg::runtime {

std::string from_base64(std::string_view text);  // "" when it is none

}  // namespace sg::runtime
