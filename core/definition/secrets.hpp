// Words that look like a password, a token or a key, so that nobody puts one into an image by mistake. A guess: it is
// only ever a reason to warn.
#pragma once
#include <cstddef>
#include <string_view>

namespace sg::definition {

// Where in a line something secret stands in plain text (npos: nowhere). References as $TOKEN and {{ TOKEN }} are none.
size_t find_secret(std::string_view line);

// Whether a variable of this name probably holds one: TOKEN, DB_PASSWORD, apiKey.
bool secret_name(std::string_view name);

}  // namespace sg::definition
