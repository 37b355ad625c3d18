// The parts of http and https URLs that a registry client must compare or join (RFC 3986).
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace registry {

struct Url {
    std::string scheme;  // "http" or "https", lower case
    std::string host;    // lower case; an IPv6 address without brackets
    std::string port;    // the scheme's own when none was given
    std::string rest;    // path and query, beginning with '/'

    // "https://[::1]:5000", the port only when it is not the scheme's own.
    std::string origin() const;
    std::string text() const { return origin() + rest; }
};

// nullopt unless it is a well-formed http or https URL without user information and control characters.
std::optional<Url> parse_url(std::string_view text);

// What a Location header means for who asked `base`: absolute, "//host/...", "/path" or relative.
std::optional<Url> resolve_location(const Url& base, std::string_view location);

// "localhost", "*.localhost", 127.0.0.0/8, ::1; `host` with or without brackets, without port.
bool is_loopback(std::string_view host);
// 169.254.0.0/16 and fe80::/10: where cloud machines keep their secrets, and no registry.
bool is_link_local(std::string_view host);

// "host:port" -> "host"; brackets of IPv6 are taken off.
std::string_view host_of(std::string_view host_and_port);

}  // namespace registry
