#include "remotes/url.hpp"

#include <algorithm>
#include <singularity/error.hpp>
#include <singularity/json.hpp>

namespace remotes {

using singularity::Code;
using singularity::Error;

namespace {

std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

constexpr size_t longest_part = 1000;  // servers name addresses too, and they are shown

struct Pieces {
    std::string scheme, authority, path;
};

// "x://AUTHORITY/PATH"; the scheme is "" when there is none.
Pieces split(const std::string& url) {
    Pieces p;
    size_t at = url.find("://");
    if (at != std::string::npos) {
        p.scheme = lower(url.substr(0, at));
        at += 3;
    } else {
        at = 0;
    }
    const size_t slash = std::min(url.find('/', at), url.size());
    p.authority = lower(url.substr(at, slash - at));
    p.path = url.substr(slash);
    return p;
}

// Behind the bracket of an IPv6 address, too.
bool has_port(const std::string& authority) {
    const size_t colon = authority.rfind(':');
    return colon != std::string::npos && authority.find(']', colon) == std::string::npos;
}

bool is_authority(const std::string& text) {
    return !text.empty() && text.size() <= longest_part && text.front() != ':' &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' ||
                      c == ':' || c == '[' || c == ']';
           });
}

bool is_path(const std::string& text) {
    return text.size() <= longest_part && text.find("..") == std::string::npos &&
           text.find("//") == std::string::npos && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view("/.-_~%+").find(c) != std::string_view::npos;
           });
}

}  // namespace

std::optional<Origin> origin_of(const std::string& url) {
    Pieces p = split(url);
    if (p.scheme.empty() || !is_authority(p.authority)) return std::nullopt;
    if (p.scheme == "hkp") {
        p.scheme = "http";
        if (!has_port(p.authority)) p.authority += ":11371";
    }
    if (p.scheme == "hkps") p.scheme = "https";
    if (!has_port(p.authority) && p.scheme == "http") p.authority += ":80";
    if (!has_port(p.authority) && p.scheme == "https") p.authority += ":443";
    return Origin{p.scheme, p.authority};
}

bool same_origin(const std::string& a, const std::string& b) {
    const auto one = origin_of(a), other = origin_of(b);
    return one && other && *one == *other;
}

std::string service_url(const std::string& text) {
    Pieces p = split(text);
    if (p.scheme.empty()) p.scheme = "https";
    if (p.scheme == "hkp") {
        p.scheme = "http";
        if (!has_port(p.authority)) p.authority += ":11371";
    }
    if (p.scheme == "hkps") p.scheme = "https";
    while (!p.path.empty() && p.path.back() == '/') p.path.pop_back();
    if ((p.scheme != "https" && p.scheme != "http") || !is_authority(p.authority) || !is_path(p.path))
        throw Error(Code::usage, "\"" + singularity::json::printable(text) + "\" is no address of a service",
                    "For example: https://library.example.org");
    return p.scheme + "://" + p.authority + p.path;
}

std::string without_scheme(const std::string& url) {
    const std::string full = service_url(url);
    return full.substr(full.find("://") + 3);
}

bool is_loopback(const std::string& url) {
    std::string host = split(url).authority;
    if (host.starts_with('[')) return host.starts_with("[::1]");
    host = host.substr(0, host.find(':'));
    return host == "localhost" || host.ends_with(".localhost") ||
           (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

}  // namespace remotes
