// One registry, as far as logging in needs it (OCI distribution-spec, endpoint 1; Docker token specification).
#pragma once
#include <singularity/host.hpp>
#include <string>

namespace registry_command {

using singularity::Code;
using singularity::Credentials;
using singularity::Error;
using singularity::Host;

// "docker://HOST[:PORT][/...]", any other scheme or none.
struct Address {
    std::string host;    // as typed, "docker.io" for the Hub
    std::string server;  // where requests go: "registry-1.docker.io"
    std::string key;     // what credentials are kept for (host.h, "credentials" 2)
    std::string shown() const { return host; }
};
// Throws Code::usage.
Address parse_address(const std::string& text);

// Whether the registry takes them. Throws Code::unauthorized when it does not, network and the like when it cannot be
// asked, corrupt when the answers are not those of a registry. `no_https`: http may be used, and https unchecked; http is
// tried for names of this machine in any case.
void verify_login(const Address& address, const Credentials& who, bool no_https, const Host& host);

}  // namespace registry_command
