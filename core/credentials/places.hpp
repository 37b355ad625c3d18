// Where credentials are looked for (the help page of `registry`, plugins/command/registry/README.md, lists them).
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "config/home.hpp"

namespace sg {

struct Place {
    std::string path;
    bool plain = false;  // .dockercfg, see AuthFile
};

struct Places {
    // In the order of looking. When the user has a docker-config.json of their own, it is the only one; else Docker's
    // file, Podman's (or the one that REGISTRY_AUTH_FILE names) and Docker's oldest.
    std::vector<Place> files;
    // The file that is written: docker-config.json in `home.config`; "" without a home.
    std::string own;
    bool own_exists = false;
};

// `variable` is getenv, or a test's.
Places usual_places(const Home& home, const std::function<const char*(const char*)>& variable);

}  // namespace sg
