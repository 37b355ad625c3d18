#include "hub/server/json_text.hpp"

#include <cstdint>

namespace hub {

namespace {

// The length of the UTF-8 character at the front (RFC 3629), 0 when there is none.
size_t utf8_length(std::string_view t) {
    const auto byte = [&](size_t i) { return i < t.size() ? static_cast<unsigned char>(t[i]) : 0U; };
    const unsigned a = byte(0);
    if (a < 0x80) return 1;
    const size_t n = a >= 0xc2 && a <= 0xdf ? 2 : (a & 0xf0) == 0xe0 ? 3 : a >= 0xf0 && a <= 0xf4 ? 4 : 0;
    for (size_t i = 1; i < n; ++i)
        if ((byte(i) & 0xc0) != 0x80) return 0;
    if ((a == 0xe0 && byte(1) < 0xa0) || (a == 0xed && byte(1) > 0x9f) || (a == 0xf0 && byte(1) < 0x90) || (a == 0xf4 && byte(1) > 0x8f)) return 0;
    return n;
}

}  // namespace

std::string json_quoted(std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out = "\"";
    while (!text.empty()) {
        const char c = text[0];
        const size_t n = utf8_length(text);
        if (n == 0) {
            out += "\xef\xbf\xbd";
        } else if (c == '"' || c == '\\') {
            out += {'\\', c};
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        } else {
            out += text.substr(0, n);
        }
        text.remove_prefix(n == 0 ? 1 : n);
    }
    return out + "\"";
}

JsonObject& JsonObject::raw(std::string_view name, std::string_view json) {
    if (!members_.empty()) members_ += ',';
    members_ += json_quoted(name) + ":" + std::string(json);
    return *this;
}

JsonArray& JsonArray::raw(std::string_view json) {
    if (!items_.empty()) items_ += ',';
    items_ += json;
    return *this;
}

}  // namespace hub
