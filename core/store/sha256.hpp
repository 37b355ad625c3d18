// The SHA-256 of bytes that are in memory.
#pragma once
#include <string>
#include <string_view>

namespace sg {

std::string sha256_hex(std::string_view bytes);  // 64 lower-case digits

}  // namespace sg
