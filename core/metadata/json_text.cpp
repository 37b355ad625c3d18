#include "metadata/json_text.hpp"

#include "base/error.hpp"

namespace sg {

namespace {

// Bytes of the well-formed sequence at `at` (Unicode, table 3-7), or 0.
size_t sequence(std::string_view text, size_t at) {
    const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
    const auto tail = [&](size_t i) { return byte(i) >= 0x80 && byte(i) <= 0xBF; };
    const unsigned b0 = byte(0), b1 = byte(1);
    if (b0 < 0x80) return 1;
    if (b0 >= 0xC2 && b0 <= 0xDF) return tail(1) ? 2 : 0;
    if (b0 >= 0xE0 && b0 <= 0xEF) {
        const bool second = tail(1) && (b0 != 0xE0 || b1 >= 0xA0) && (b0 != 0xED || b1 <= 0x9F);
        return second && tail(2) ? 3 : 0;
    }
    if (b0 >= 0xF0 && b0 <= 0xF4) {
        const bool second = tail(1) && (b0 != 0xF0 || b1 >= 0x90) && (b0 != 0xF4 || b1 <= 0x8F);
        return second && tail(2) && tail(3) ? 4 : 0;
    }
    return 0;
}

constexpr unsigned max_levels = 64;

// Stops a document that nests too deeply before the parser's recursion does harm.
bool nests_too_deeply(std::string_view text) {
    unsigned level = 0;
    bool in_text = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_text) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_text = false;
        } else if (c == '"') {
            in_text = true;
        } else if (c == '{' || c == '[') {
            if (++level > max_levels) return true;
        } else if ((c == '}' || c == ']') && level > 0) {
            --level;
        }
    }
    return false;
}

}  // namespace

std::string valid_utf8(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size();) {
        const size_t n = sequence(text, i);
        if (n == 0) {
            out += "\xEF\xBF\xBD";
            ++i;
        } else {
            out.append(text.substr(i, n));
            i += n;
        }
    }
    return out;
}

rapidjson::Document parse_json(std::string_view text, std::string_view what) {
    if (nests_too_deeply(text)) throw Error(Code::limit, std::string(what) + " nests more than 64 levels deep");
    // Made good before it is read: names must sort as they will be written.
    const std::string good = valid_utf8(text);
    rapidjson::Document doc;
    doc.Parse<rapidjson::kParseDefaultFlags>(good.data(), good.size());
    if (doc.HasParseError())
        throw Error(Code::corrupt, std::string(what) +
                                       " is no JSON: " + rapidjson::GetParseError_En(doc.GetParseError()) + " (byte " +
                                       std::to_string(doc.GetErrorOffset()) + ")");
    return doc;
}

}  // namespace sg
