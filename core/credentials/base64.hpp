// Base64 (RFC 4648, section 4) of secrets.
#pragma once
#include <optional>
#include <string_view>

#include "credentials/secret.hpp"

namespace sg {

Secret base64_encode(std::string_view bytes);
// Padding may be missing; nullopt for anything else that is wrong.
std::optional<Secret> base64_decode(std::string_view text);

}  // namespace sg
