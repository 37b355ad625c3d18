// TLS over a socket, by OpenSSL, which is in an object of its own (tls/tls.h).
//
// Poco's own TLS sockets are not used: they wait for no cancel descriptor, do not say why a certificate was refused, and
// loading them costs each start 2 ms more.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "family/channel.hpp"
#include "family/wait.hpp"

namespace https {

// What decides whom we trust and who we are. Files are PEM.
struct TlsSettings {
    bool verify = true;
    std::vector<std::string> ca;  // files, or directories of them, trusted besides the system's
    std::string certificate, key;
    std::string identity() const;  // equal texts: connections may be shared
};

// Shakes hands over the connected socket `fd` (owned from the call on) with `host`, a name or an address; `where`
// ("host:port") is for messages. A certificate that is not accepted is Code::network with a hint about the cure.
std::unique_ptr<http::Channel> open_tls(int fd, const std::string& host, const std::string& where, const TlsSettings& settings,
                                        http::Wait& wait);

}  // namespace https
