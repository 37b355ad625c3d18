// Which proxy a URL goes through, by the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY; either case).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "family/url.hpp"

namespace https {

struct Proxy {
    std::string host;
    uint16_t port = 0;
    std::string authorization;  // the value of Proxy-Authorization, or ""; secret
    std::string shown() const;  // "host:port", for messages
    std::string identity() const { return host + ":" + std::to_string(port) + "\n" + authorization; }
};

// nullopt: directly. The upper-case variable wins, as in Go; HTTP_PROXY is ignored in CGI programs. localhost and loopback
// addresses never use one. Code::invalid for a proxy URL that cannot be read, Code::unsupported for other schemes than http.
std::optional<Proxy> proxy_for(const http::Url& url);

// Does a NO_PROXY list name this host? Items: "*", HOST (and all below it), .SUFFIX or *.SUFFIX (only what is below),
// an address, a network ADDRESS/BITS; each but the network with or without :PORT.
bool excluded_by(std::string_view no_proxy, const std::string& host, uint16_t port);

// "Basic ..." for "user:password", as it stands (percent-encoded) in a URL.
std::string basic_authorization(std::string_view userinfo);

}  // namespace https
