#include "definition/secrets.hpp"

#include <algorithm>
#include <string>

#include "definition/text.hpp"

namespace sg::definition {

namespace {

constexpr std::string_view words[] = {"password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key", "access_key", "private_key"};
// Names that hold such a word and no secret.
constexpr std::string_view harmless[] = {"password_file", "passwordfile", "token_file", "secret_file", "tokenizer", "tokens", "secretary"};

bool name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

// A value that is written out: long enough, no reference, no path, no placeholder.
bool literal(std::string_view value) {
    while (!value.empty() && (value[0] == '"' || value[0] == '\'')) value.remove_prefix(1);
    const size_t end = value.find_first_of(" \t\"';&|)");
    value = value.substr(0, end);
    return value.size() >= 4 && value.find_first_of("$`{<") == std::string_view::npos && value[0] != '/' && value[0] != '-' &&
           value.find_first_not_of("*x.") != std::string_view::npos;
}

// NAME=VALUE, NAME: VALUE, --name VALUE.
size_t assigned(std::string_view line, std::string_view folded) {
    for (const auto word : words)
        for (size_t at = folded.find(word); at != std::string_view::npos; at = folded.find(word, at + 1)) {
            size_t first = at, end = at + word.size();
            while (first > 0 && name_character(line[first - 1])) --first;
            while (end < line.size() && name_character(line[end])) ++end;
            if (first > 0 && (line[first - 1] == '$' || line[first - 1] == '{')) continue;
            if (!secret_name(line.substr(first, end - first))) continue;
            const bool option = line.substr(first).starts_with("--");
            if (end >= line.size() || (line[end] != '=' && line[end] != ':' && !(option && line[end] == ' '))) continue;
            size_t value = end + 1;
            while (line[end] != '=' && value < line.size() && line[value] == ' ') ++value;
            if (literal(line.substr(value))) return first;
        }
    return std::string_view::npos;
}

// scheme://user:password@host
size_t in_url(std::string_view line) {
    for (size_t at = line.find("://"); at != std::string_view::npos; at = line.find("://", at + 3)) {
        const auto rest = line.substr(at + 3);
        const auto authority = rest.substr(0, rest.find_first_of("/ \t\"'"));
        const size_t sign = authority.rfind('@');
        const size_t colon = authority.find(':');
        if (sign != std::string_view::npos && colon < sign && literal(authority.substr(colon + 1, sign - colon - 1))) return at;
    }
    return std::string_view::npos;
}

size_t known_form(std::string_view line) {
    for (const std::string_view mark : {"PRIVATE KEY-----", "ghp_", "github_pat_", "glpat-", "xoxb-"}) {
        const size_t at = line.find(mark);
        if (at != std::string_view::npos && (mark.ends_with('-') || at + mark.size() + 16 <= line.size())) return at;
    }
    return std::string_view::npos;
}

}  // namespace

bool secret_name(std::string_view name) {
    const std::string folded = lower(name);
    const auto has = [&](std::string_view word) { return folded.find(word) != std::string::npos; };
    return std::any_of(std::begin(words), std::end(words), has) && !std::any_of(std::begin(harmless), std::end(harmless), has);
}

size_t find_secret(std::string_view line) {
    const std::string folded = lower(line);
    return std::min({assigned(line, folded), in_url(line), known_form(line)});
}

}  // namespace sg::definition
