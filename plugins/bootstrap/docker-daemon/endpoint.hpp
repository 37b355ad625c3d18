// Which engine, and how it is reached (Docker's client: environment variables DOCKER_*).
#pragma once
#include <functional>
#include <string>

namespace docker_daemon {

struct Endpoint {
    std::string shown;   // as the user would write it: "unix:///var/run/docker.sock", for messages
    std::string scheme;  // of the transport: "unix", "http", "https"
    std::string base;    // URL that paths are put behind: "unix://%2Fvar%2Frun%2Fdocker.sock", "https://host:2376"
    std::string socket;  // path, "" for the others
    bool verify = true;  // certificates
    std::string ca_file, client_cert, client_key;  // "" = none
    std::string version;                           // of the interface, "" = what both know
};

// `given`: --docker-host or its variable. Else DOCKER_HOST, else /var/run/docker.sock. DOCKER_TLS_VERIFY, DOCKER_CERT_PATH
// and DOCKER_API_VERSION as Docker's client reads them. `variable` is getenv. Throws Code::invalid or unsupported.
Endpoint find_endpoint(const std::string& given, const std::function<const char*(const char*)>& variable);

std::string percent_encoded(std::string_view text);  // all but letters, digits and "-._~"

}  // namespace docker_daemon
