#include "fetch/source_uri.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <singularity/digest.hpp>

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

std::string shown_uri(std::string_view text) {
    std::string out(text.substr(0, text.find('?')));
    if (out.size() < text.size()) out += "?...";
    const auto from = out.find("//");
    if (from == std::string::npos) return out;
    const auto end = std::min(out.find('/', from + 2), out.size());
    const auto at = out.rfind('@', end);
    if (at == std::string::npos || at < from || at > end) return out;
    if (singularity::Digest::try_parse(std::string_view(out).substr(at + 1, end - at - 1))) return out;
    if (out.find(':', from + 2) < at) out.erase(from + 2, at - from - 1);
    return out;
}

SourceUri read_uri(std::string_view text, const std::function<bool(std::string_view)>& registered) {
    SourceUri uri = split_uri(text);
    if (uri.scheme.empty() || registered(uri.scheme)) return uri;
    const std::string path(text);
    if (access(path.c_str(), F_OK) == 0) return {"", path};
    return uri;
}

std::string without_secret(std::string_view text) {
    const auto scheme = text.find("://");
    const size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
    const size_t end = std::min(text.find('/', begin), text.size());
    const auto at = text.substr(0, end).rfind('@');
    if (at == std::string_view::npos || at < begin) return std::string(text);
    const auto rest = text.substr(at + 1);
    if (rest.substr(0, 3) == "sha" && rest.find(':') != std::string_view::npos) return std::string(text);  // NAME@DIGEST
    return std::string(text.substr(0, begin)) + std::string(rest);
}

}  // namespace sg
