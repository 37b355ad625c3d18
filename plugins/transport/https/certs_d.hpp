// Certificates by server, in the directories of containers/image and Docker (containers-certs.d(5)).
#pragma once
#include <string>
#include <vector>

#include "https/tls.hpp"

namespace https {

// Where certs.d directories are looked for, most important first: the user's (unless HOME belongs to somebody else, as with
// sudo -E), /etc/containers, /etc/docker.
std::vector<std::string> certs_d_roots();

// Adds what the first existing ROOT/HOST[:PORT] holds: *.crt to `settings.ca`, NAME.cert with NAME.key as the client's
// pair, unless one is set. Docker Hub's directory is "docker.io". A .cert without its .key, or the reverse, is
// Code::invalid. `port` 0: the scheme's own.
void add_certs_d(const std::vector<std::string>& roots, const std::string& host, uint16_t port, TlsSettings& settings);

}  // namespace https
