// SPDX-License-Identifier: BSD-3-Clause
// text.hpp: texts that travel, as streams, in URLs and in headers.
#pragma once
#include <singularity/stream.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace singularity {

// Bytes in memory as a stream of one slice.
class TextStream final : public Stream {
public:
    explicit TextStream(std::string text) : text_(std::move(text)) {}
    Slice next() override { return std::exchange(given_, true) ? Slice() : Slice::borrowed(text_.data(), text_.size()); }

private:
    std::string text_;
    bool given_ = false;
};

// For a query, a form or one part of a path: all but unreserved characters (RFC 3986, section 2.3) as %XX.
inline std::string percent_encoded(std::string_view text) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto u = static_cast<unsigned char>(c);
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~')
            out += c;
        else
            out += {'%', digits[u >> 4], digits[u & 15]};
    }
    return out;
}

// RFC 4648, section 4, with padding.
inline std::string base64(std::string_view bytes) {
    static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (size_t at = 0; at < bytes.size(); at += 3) {
        uint32_t v = 0;
        for (size_t i = 0; i < 3; ++i) v = v << 8 | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0u);
        for (size_t i = 0; i < 4; ++i) out += at + i <= bytes.size() ? digits[v >> (18 - 6 * i) & 63] : '=';
    }
    return out;
}

}  // namespace singularity
