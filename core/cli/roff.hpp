// Text for manual pages (man(7)).
#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace sg::roff {

// Means itself anywhere in a line: backslashes, hyphens that are typed, and what would begin a request.
inline std::string plain(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else if (c == '\n')
            out += ' ';
        else if ((c == '.' || c == '\'') && out.empty())
            out += std::string("\\&") + c;
        else
            out += c;
    }
    return out;
}

inline std::string bold(std::string_view text) { return "\\fB" + plain(text) + "\\fR"; }
inline std::string slanted(std::string_view text) { return "\\fI" + plain(text) + "\\fR"; }

// "key list" is told of in singularity-key-list(1).
inline std::string page_name(std::string_view verb) {
    std::string out = "singularity";
    if (!verb.empty()) out += "-" + std::string(verb);
    for (char& c : out)
        if (c == ' ') c = '-';
    return out;
}

inline std::string head(std::string_view verb, std::string_view version, std::string_view summary) {
    std::string title = page_name(verb);
    for (char& c : title)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return ".TH \"" + plain(title) + "\" 1 \"\" \"singularity " + std::string(version) +
           "\" \"Singularity\"\n.SH NAME\n" + plain(page_name(verb)) + " \\- " + plain(summary) + "\n";
}

// A paragraph in lines that are not long, with an end of line.
inline std::string filled(std::string_view text) {
    std::string out, line;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find_first_of(" \n", at), text.size());
        const auto word = text.substr(at, end - at);
        if (!line.empty() && line.size() + 1 + word.size() > 72) out += plain(std::exchange(line, {})) + "\n";
        if (!word.empty()) line += (line.empty() ? "" : " ") + std::string(word);
        at = end + 1;
    }
    return out + plain(line) + "\n";
}

inline std::string item(const std::string& what, std::string_view text) { return ".TP\n" + what + "\n" + filled(text); }

inline std::string refer(std::string_view verb) { return ".BR " + plain(page_name(verb)) + " (1)"; }

}  // namespace sg::roff
