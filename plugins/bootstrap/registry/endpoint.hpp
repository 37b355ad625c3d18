// From an image's name to the servers that are asked for it, in order.
#pragma once
#include <string>
#include <vector>

#include "family/reference.hpp"
#include "registry/conf.hpp"

namespace registry {

struct Endpoint {
    std::string host;        // "registry-1.docker.io", "localhost:5000"
    std::string repository;  // "library/lolcow"
    std::string shown;       // "docker.io/library/lolcow", for messages
    std::string server;      // what credentials are looked up by (host.h, "credentials" 2)
    std::vector<std::string> schemes;  // to be tried in order: {"https"}, {"http", "https"}, ...
    bool verify_tls = true;
    bool mirror = false;
    std::string led;         // "cache.org/hub/lolcow": where registries.conf leads from `shown`; "" = nowhere else
};

// Mirrors first, the registry itself last. `no_https`: the user allows http, and https without checks.
// Throws Code::veto when the configuration blocks the registry.
std::vector<Endpoint> endpoints_of(const sources::ImageReference& reference, const RegistriesConf& conf, bool no_https);
// The one that images are pushed to.
Endpoint target_of(const sources::ImageReference& reference, const RegistriesConf& conf, bool no_https);

// The full name that `reference` has with definition-file keywords before it ("" = none): "REGISTRY/NAMESPACE/reference".
std::string joined_reference(const std::string& registry, const std::string& name_space, const std::string& reference);

}  // namespace registry
