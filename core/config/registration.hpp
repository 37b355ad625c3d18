// Reads a registration file (plugins.d/*.yaml):
//
//   plugins:
//     - oci/plugin.yaml                     # the same as {manifest: oci/plugin.yaml}
//     - manifest: /opt/site/s3/plugin.yaml  # relative ones start at the plugin directory
//       before: https                       # goes before that plugin; later ones win over earlier ones
//       optional: true                      # no warning when the manifest is not there
//       config: {s3.endpoint: "https://s3.site.example"}
//     - name: hub                           # one that is registered already
//       enabled: false
//   absent:
//     - {scheme: docker, message: "Install the package singularity-docker."}
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/yaml_source.hpp"

namespace sg {

struct Registration {
    std::string manifest;  // as written, or ""
    std::string name;      // or "": of a plugin that is registered already
    std::string before;
    std::optional<bool> enabled;  // not said: a plugin that was switched off before stays off
    bool optional = false;
    std::vector<RawValue> config;
    std::string file;
    uint32_t line = 0;
};

struct RegistrationFile {
    std::vector<Registration> plugins;
    std::vector<std::pair<std::string, std::string>> absent;
};

// Throws with FILE:LINE.
RegistrationFile parse_registrations(const std::string& file, const YAML::Node& document);

}  // namespace sg
