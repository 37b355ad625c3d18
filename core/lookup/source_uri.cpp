#include "lookup/source_uri.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <singularity/digest.hpp>

namespace sg {

SourceUri split_uri(std::string_view text) {
    const auto colon = text.find(':');
    const auto part = text.substr(0, colon);
    const bool formed =
        colon != std::string_view::npos && !part.empty() && std::isalpha(static_cast<unsigned char>(part[0])) &&
        std::all_of(part.begin(), part.end(),
                    [](unsigned char c) { return std::isalnum(c) || c == '+' || c == '-' || c == '.'; });
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

namespace {

// What follows an '@': a host, and not the digest or the number of an image.
bool is_host(std::string_view text, bool behind_password) {
    if (text.empty() || singularity::Digest::try_parse(text)) return false;
    if (text.find_first_not_of("0123456789") == std::string_view::npos) return false;
    return behind_password || text == "localhost" || text.find_first_of(".:") != std::string_view::npos;
}

}  // namespace

std::string without_secret(std::string_view text) {
    const auto scheme = text.find("://");
    const size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
    const size_t end = std::min(text.find('/', begin), text.size());
    const auto at = text.substr(0, end).rfind('@');
    if (at == std::string_view::npos || at <= begin) return std::string(text);
    const bool has_password = text.substr(begin, at - begin).find(':') != std::string_view::npos;
    if (!is_host(text.substr(at + 1, end - at - 1), has_password)) return std::string(text);
    return std::string(text.substr(0, begin)) + std::string(text.substr(at + 1));
}

std::string shown_uri(std::string_view text) {
    const auto query = text.find('?');
    return without_secret(text.substr(0, query)) + (query == std::string_view::npos ? "" : "?...");
}

}  // namespace sg
