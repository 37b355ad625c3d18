#include "runtime/base64.hpp"

#include <cstdint>

namespace sg::runtime {

static constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string from_base64(std::string_view text) {
    while (!text.empty() && text.back() == '=') text.remove_suffix(1);
    std::string out;
    uint32_t word = 0;
    int bits = 0;
    for (const char c : text) {
        const size_t digit = digits.find(c);
        if (digit == std::string_view::npos) return {};
        word = word << 6 | static_cast<uint32_t>(digit);
        bits += 6;
        if (bits >= 8) out.push_back(static_cast<char>(word >> (bits -= 8) & 0xff));
    }
    return out;
}

}  // namespace sg::runtime
