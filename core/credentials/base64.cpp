#include "credentials/base64.hpp"

#include <cstdint>

namespace sg {

Secret base64_encode(std::string_view bytes) {
    static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    Secret out;
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const size_t have = bytes.size() - i;
        uint32_t group = 0;
        for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < have ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        for (size_t k = 0; k < 4; ++k) out.push(k <= have ? digits[group >> (18 - 6 * k) & 63] : '=');
    }
    return out;
}

std::optional<Secret> base64_decode(std::string_view text) {
    while (!text.empty() && text.back() == '=') text.remove_suffix(1);
    if (text.size() % 4 == 1) return std::nullopt;
    Secret out;
    uint32_t group = 0;
    unsigned bits = 0;
    for (const char c : text) {
        uint32_t digit = 0;
        if (c >= 'A' && c <= 'Z')
            digit = static_cast<uint32_t>(c - 'A');
        else if (c >= 'a' && c <= 'z')
            digit = static_cast<uint32_t>(c - 'a') + 26;
        else if (c >= '0' && c <= '9')
            digit = static_cast<uint32_t>(c - '0') + 52;
        else if (c == '+')
            digit = 62;
        else if (c == '/')
            digit = 63;
        else
            return std::nullopt;
        group = group << 6 | digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out.push(static_cast<char>(group >> bits & 0xff));
        }
    }
    return out;
}

}  // namespace sg
