#include "runtime/base64.hpp"

#include <cstdint>

namespace sg::runtime {

static constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string to_base64(std::string_view bytes) {
    std::string out;
    for (size_t at = 0; at < bytes.size(); at += 3) {
        uint32_t word = 0;
        const size_t n = bytes.size() - at < 3 ? bytes.size() - at : 3;
        for (size_t i = 0; i < 3; ++i) word = word << 8 | (i < n ? static_cast<uint8_t>(bytes[at + i]) : 0u);
        for (size_t i = 0; i < 4; ++i) out.push_back(i <= n ? digits[word >> (18 - 6 * i) & 63] : '=');
    }
    return out;
}

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
