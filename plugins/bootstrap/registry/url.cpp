#include "registry/url.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>

namespace registry {
namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

bool clean(std::string_view text) {
    return std::none_of(text.begin(), text.end(),
                        [](unsigned char c) { return c <= 0x20 || c >= 0x7f || c == '\\' || c == '"'; });
}

const char* own_port(std::string_view scheme) { return scheme == "https" ? "443" : "80"; }

// The directory part of a path, without query.
std::string directory_of(const std::string& rest) {
    const std::string path = rest.substr(0, rest.find_first_of("?#"));
    return path.substr(0, path.rfind('/') + 1);
}

bool ipv4(std::string_view host, uint32_t& out) {
    in_addr a{};
    if (::inet_pton(AF_INET, std::string(host).c_str(), &a) != 1) return false;
    out = ntohl(a.s_addr);
    return true;
}

// An IPv6 address; one that maps an IPv4 address gives that.
bool ipv6(std::string_view host, in6_addr& out, uint32_t& mapped) {
    mapped = 0;
    if (::inet_pton(AF_INET6, std::string(host.substr(0, host.find('%'))).c_str(), &out) != 1) return false;
    if (IN6_IS_ADDR_V4MAPPED(&out))
        for (int i = 12; i < 16; ++i) mapped = (mapped << 8) | out.s6_addr[i];
    return true;
}

}  // namespace

std::string Url::origin() const {
    std::string out = scheme + "://";
    out += host.find(':') == std::string::npos ? host : "[" + host + "]";
    return port == own_port(scheme) ? out : out + ":" + port;
}

std::optional<Url> parse_url(std::string_view text) {
    const size_t colon = text.find("://");
    if (colon == std::string_view::npos || text.size() > 16384 || !clean(text)) return std::nullopt;
    Url out;
    out.scheme = lower(text.substr(0, colon));
    if (out.scheme != "http" && out.scheme != "https") return std::nullopt;
    std::string_view rest = text.substr(colon + 3);
    rest = rest.substr(0, rest.find('#'));
    const size_t end = std::min(rest.find_first_of("/?"), rest.size());
    std::string_view authority = rest.substr(0, end);
    rest.remove_prefix(end);
    if (authority.empty() || authority.find('@') != std::string_view::npos) return std::nullopt;
    std::string_view port;
    if (authority.front() == '[') {
        const size_t close = authority.find(']');
        if (close == std::string_view::npos) return std::nullopt;
        out.host = lower(authority.substr(1, close - 1));
        const std::string_view after = authority.substr(close + 1);
        if (!after.empty() && after.front() != ':') return std::nullopt;
        if (!after.empty()) port = after.substr(1);
    } else {
        const size_t at = authority.rfind(':');
        out.host = lower(authority.substr(0, at));
        if (at != std::string_view::npos) port = authority.substr(at + 1);
        if (out.host.find(':') != std::string::npos) return std::nullopt;
    }
    if (out.host.empty() || port.size() > 5 || !std::all_of(port.begin(), port.end(), [](unsigned char c) {
            return std::isdigit(c) != 0;
        }))
        return std::nullopt;
    out.port = port.empty() ? own_port(out.scheme) : std::string(port);
    out.rest = rest.empty() || rest.front() != '/' ? "/" + std::string(rest) : std::string(rest);
    return out;
}

std::optional<Url> resolve_location(const Url& base, std::string_view location) {
    if (location.empty()) return std::nullopt;
    if (location.substr(0, 2) == "//") return parse_url(base.scheme + ":" + std::string(location));
    const size_t colon = location.find(':');
    const bool absolute = colon != std::string_view::npos && colon < location.find_first_of("/?");
    if (absolute) return parse_url(location);
    if (location.front() == '/') return parse_url(base.origin() + std::string(location));
    if (location.front() == '?')
        return parse_url(base.origin() + base.rest.substr(0, base.rest.find('?')) + std::string(location));
    return parse_url(base.origin() + directory_of(base.rest) + std::string(location));
}

std::string_view host_of(std::string_view text) {
    if (!text.empty() && text.front() == '[') return text.substr(1, std::min(text.find(']'), text.size()) - 1);
    // More than one colon and no brackets: an IPv6 address alone.
    const size_t colon = text.find(':');
    return colon == text.rfind(':') ? text.substr(0, colon) : text;
}

bool is_loopback(std::string_view host) {
    if (!host.empty() && host.front() == '[') host = host_of(host);
    const std::string name = lower(host);
    if (name == "localhost" || (name.size() > 10 && name.substr(name.size() - 10) == ".localhost")) return true;
    uint32_t v4 = 0;
    if (ipv4(name, v4)) return v4 >> 24 == 127;
    in6_addr v6{};
    if (!ipv6(name, v6, v4)) return false;
    return IN6_IS_ADDR_LOOPBACK(&v6) || v4 >> 24 == 127;
}

bool is_link_local(std::string_view host) {
    if (!host.empty() && host.front() == '[') host = host_of(host);
    uint32_t v4 = 0;
    if (ipv4(host, v4)) return v4 >> 16 == 0xa9fe;
    in6_addr v6{};
    if (!ipv6(host, v6, v4)) return false;
    return IN6_IS_ADDR_LINKLOCAL(&v6) || v4 >> 16 == 0xa9fe;
}

}  // namespace registry
