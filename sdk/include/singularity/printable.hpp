// SPDX-License-Identifier: BSD-3-Clause
// printable.hpp: text of strangers (servers, images, file names) as a terminal may get it.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace singularity {

// Length of the character that begins at text[i]; 0: no valid UTF-8, or a character that steers a terminal or reorders
// what stands around it: controls (C0 and DEL, C1, which terminals obey in UTF-8 too), line separators, marks of
// direction.
inline size_t printable_length(std::string_view text, size_t i) {
    const auto byte = [&](size_t n) { return i + n < text.size() ? static_cast<unsigned char>(text[i + n]) : 0u; };
    const auto first = byte(0);
    if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
    const size_t length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (length == 0) return 0;
    uint32_t c = first & (0xffu >> (length + 1));
    for (size_t n = 1; n < length; ++n) {
        if ((byte(n) & 0xc0) != 0x80) return 0;
        c = c << 6 | (byte(n) & 0x3f);
    }
    if ((length == 3 && c < 0x800) || (length == 4 && (c < 0x10000 || c > 0x10ffff)) || (c >= 0xd800 && c < 0xe000))
        return 0;
    const bool steers = c < 0xa0 || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e ||
                        c == 0x200f || c == 0x61c;
    return steers ? 0 : length;
}

// The text with '?' for each byte that is not part of such a character; those in `kept` stay.
inline std::string printable(std::string_view text, std::string_view kept = {}) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size();) {
        const size_t length = printable_length(text, i);
        if (length > 0) {
            out.append(text, i, length);
            i += length;
            continue;
        }
        const char c = text[i];
        if (kept.find(c) != std::string_view::npos) {
            out += c;
        } else if (out.empty() || out.back() != '?' || (static_cast<unsigned char>(c) & 0xc0) != 0x80) {
            out += '?';  // one for all bytes of a character
        }
        ++i;
    }
    return out;
}

}  // namespace singularity
