#include "definition/arguments.hpp"

#include <algorithm>
#include <functional>

#include "base/nearest.hpp"

namespace sg::definition {

namespace {

bool word_character(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

bool is_word(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), word_character); }

// What \s of the language's regular expression matches.
bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\n'; }

struct Placeholder {
    size_t at = std::string_view::npos, end = 0;
    std::string_view name;
};

// The first one from `from` on.
Placeholder find_placeholder(std::string_view text, size_t from) {
    for (size_t at = text.find("{{", from); at != std::string_view::npos; at = text.find("{{", at + 1)) {
        size_t i = at + 2;
        while (i < text.size() && blank(text[i])) ++i;
        const size_t name = i;
        while (i < text.size() && word_character(text[i])) ++i;
        const size_t end = i;
        while (i < text.size() && blank(text[i])) ++i;
        if (end > name && text.substr(i).starts_with("}}")) return {at, i + 2, text.substr(name, end - name)};
    }
    return {};
}

using Lookup = std::function<std::string(const Placeholder&)>;

std::string replace(std::string_view text, const Lookup& value_of) {
    std::string out;
    for (size_t from = 0;;) {
        const Placeholder p = find_placeholder(text, from);
        if (p.at == std::string_view::npos) return out.append(text.substr(from));
        out.append(text.substr(from, p.at - from)).append(value_of(p));
        from = p.end;
    }
}

void append_lines(std::vector<Line>& out, uint32_t number, std::string_view text) {
    for (size_t at = 0;;) {
        const size_t end = text.find('\n', at);
        out.push_back({number, std::string(text.substr(at, end == std::string_view::npos ? end : end - at))});
        if (end == std::string_view::npos) return;
        at = end + 1;
    }
}

}  // namespace

std::pair<std::string, std::string> parse_build_argument(const std::string& given) {
    const size_t equals = given.find('=');
    const std::string name(trimmed(std::string_view(given).substr(0, equals)));
    if (equals == std::string::npos || !is_word(name))
        throw Error(Code::usage, "--build-arg takes NAME=VALUE, not '" + (equals == std::string::npos ? given : name) + "'",
                    "A name has letters, digits and '_'.");
    return {name, given.substr(equals + 1)};
}

Values parse_argument_lines(const Text& text, const std::vector<Line>& lines) {
    Values out;
    for (const Line& line : lines) {
        const auto content = trimmed(line.text);
        if (content.empty() || content[0] == '#') continue;
        const auto column = static_cast<uint32_t>(content.data() - line.text.data() + 1);
        const size_t equals = content.find('=');
        const auto name = trimmed(content.substr(0, equals));
        if (equals == std::string_view::npos || !is_word(name))
            throw text.error({line.number, column}, "an argument is not of the form NAME=VALUE", "A name has letters, digits and '_'.");
        out[std::string(name)] = std::string(trimmed(content.substr(equals + 1)));
    }
    return out;
}

std::vector<Line> substituted(const Text& text, const std::vector<Line>& lines, const Values& given, const Values& defaults,
                              Values& used) {
    std::vector<Line> out;
    for (const Line& line : lines) {
        const auto content = trimmed(line.text);
        if (content.starts_with('#') && !content.starts_with("#!")) {
            out.push_back(line);
            continue;
        }
        const auto look_up = [&](std::string_view name, size_t at) -> std::string {
            const std::string key(name);
            if (const auto it = given.find(key); it != given.end()) {
                used[key] = it->second;
                return it->second;
            }
            if (const auto it = defaults.find(key); it != defaults.end()) {
                used[key] = it->second;
                return it->second;
            }
            std::vector<std::string_view> known;
            for (const auto& [k, v] : given) known.push_back(k);
            for (const auto& [k, v] : defaults) known.push_back(k);
            throw text.error({line.number, static_cast<uint32_t>(at + 1)},
                             "build var " + key + " is not defined through either --build-arg (--build-arg-file) or 'arguments' section",
                             did_you_mean(key, known));
        };
        const std::string whole = replace(line.text, [&](const Placeholder& p) {
            return replace(look_up(p.name, p.at), [&](const Placeholder& inner) { return look_up(inner.name, p.at); });
        });
        append_lines(out, line.number, whole);
    }
    return out;
}

}  // namespace sg::definition
