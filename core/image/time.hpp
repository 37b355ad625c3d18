// Times as image documents write them.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace sg {

// Seconds since 1970 UTC of an RFC 3339 text ("2024-05-01T12:00:00.123456789Z", also with an offset); the fraction
// is dropped. nullopt when the text is none, or a year outside 1..9999.
std::optional<int64_t> parse_rfc3339(std::string_view text);

}  // namespace sg
