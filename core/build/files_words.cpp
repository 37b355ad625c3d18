#include "build/files_words.hpp"

#include <cstdlib>

#include "base/error.hpp"

namespace sg {

namespace {

constexpr size_t most_words = 10'000;
constexpr size_t longest = 4096;  // bytes of a source with braces

bool begins_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool in_name(char c) { return begins_name(c) || (c >= '0' && c <= '9'); }

std::string value_of(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    if (!value) throw Error(Code::not_found, "the variable " + name + " is not set");
    std::string out;
    for (; *value; ++value) {
        if (*value == '*' || *value == '?' || *value == '[') out.push_back('\\');
        out.push_back(*value);
    }
    return out;
}

std::string with_values(std::string_view text) {
    std::string out;
    size_t i = 0;
    if (text == "~" || text.starts_with("~/")) {
        out = value_of("HOME");
        i = 1;
    }
    while (i < text.size()) {
        const bool braced = text.substr(i).starts_with("${");
        const size_t begin = i + (braced ? 2 : 1);
        size_t end = begin;
        while (text[i] == '$' && end < text.size() && in_name(text[end])) ++end;
        const bool name =
            end > begin && begins_name(text[begin]) && (!braced || (end < text.size() && text[end] == '}'));
        if (!name) {
            out.push_back(text[i++]);
            continue;
        }
        out += value_of(std::string(text.substr(begin, end - begin)));
        i = end + (braced ? 1 : 0);
    }
    return out;
}

// The first group of `text` that has a comma: its place, and the parts between commas.
struct Group {
    size_t begin = std::string_view::npos, end = 0;
    std::vector<std::string_view> parts;
};

Group group_at(std::string_view text, size_t begin) {
    Group out;
    size_t depth = 0, part = begin + 1;
    for (size_t i = begin; i < text.size(); ++i) {
        if (text[i] == '{') ++depth;
        if (depth == 1 && (text[i] == ',' || text[i] == '}')) {
            out.parts.push_back(text.substr(part, i - part));
            part = i + 1;
        }
        if (text[i] == '}' && --depth == 0) {
            if (out.parts.size() < 2) return {};
            out.begin = begin;
            out.end = i + 1;
            return out;
        }
    }
    return {};
}

Group first_group(std::string_view text) {
    for (size_t at = text.find('{'); at != std::string_view::npos; at = text.find('{', at + 1)) {
        if (at > 0 && text[at - 1] == '$') continue;  // of a variable
        if (Group g = group_at(text, at); g.begin != std::string_view::npos) return g;
    }
    return {};
}

void spread(const std::string& text, std::vector<std::string>& out) {
    const Group g = first_group(text);
    if (g.begin == std::string_view::npos) {
        if (out.size() == most_words)
            throw Error(Code::limit, "the braces make more than " + std::to_string(most_words) + " names");
        out.push_back(with_values(text));
        return;
    }
    for (const std::string_view part : g.parts)
        spread(text.substr(0, g.begin) + std::string(part) + text.substr(g.end), out);
}

}  // namespace

std::vector<std::string> shell_words(std::string_view text) {
    std::vector<std::string> out;
    if (text.size() > longest && text.find('{') != std::string_view::npos)
        throw Error(Code::limit, "a source with braces has more than " + std::to_string(longest) + " bytes");
    spread(std::string(text), out);
    return out;
}

}  // namespace sg
