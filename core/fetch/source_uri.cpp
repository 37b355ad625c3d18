#include "fetch/source_uri.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>

namespace sg {

SourceUri split_uri(std::string_view text) {
    const auto colon = text.find(':');
    const auto part = text.substr(0, colon);
    const bool formed = colon != std::string_view::npos && !part.empty() && std::isalpha(static_cast<unsigned char>(part[0])) &&
                        std::all_of(part.begin(), part.end(), [](unsigned char c) {
                            return std::isalnum(c) || c == '+' || c == '-' || c == '.';
                        });
    if (!formed) return {"", std::string(text)};
    SourceUri uri;
    for (const unsigned char c : part) uri.scheme.push_back(static_cast<char>(std::tolower(c)));
    auto rest = text.substr(colon + 1);
    if (rest.substr(0, 2) == "//") rest.remove_prefix(2);
    uri.reference = rest;
    return uri;
}

SourceUri read_uri(std::string_view text, const std::function<bool(std::string_view)>& registered) {
    SourceUri uri = split_uri(text);
    if (uri.scheme.empty() || registered(uri.scheme)) return uri;
    const std::string path(text);
    if (access(path.c_str(), F_OK) == 0) return {"", path};
    return uri;
}

}  // namespace sg
