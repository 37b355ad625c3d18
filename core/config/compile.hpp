// From the YAML files to one configuration (docs/admin/configuration.md).
//
// Values, later wins: built-in defaults, `config` of the site's registrations, singularity.yaml, conf.d/*.yaml
// in name order, `config` of the user's registrations, ~/.singularity/config.yaml. A lock of a site file
// binds the user's files; environment and command line come later (settings.hpp).
// Registrations: plugins.d/*.yaml in name order, then ~/.singularity/plugins.d/*.yaml.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "config/home.hpp"
#include "config/installation.hpp"
#include "config/model.hpp"

namespace sg {

// Throws with FILE:LINE for what is wrong in a configuration file. A plugin whose manifest is wrong is
// not active, says why, and adds a warning.
model::Configuration compile_configuration(const Installation& installation, const Home& home);
// What can be made of files that are wrong, for `help`: each failure is added to `problems` and its file or
// value left out.
model::Configuration compile_what_can_be(const Installation& installation, const Home& home, std::vector<Error>& problems);

// The configuration that the defaults and these manifests (absolute paths) give, with values set; for tests.
model::Configuration compile_manifests(const std::vector<std::string>& manifests,
                                       const std::vector<std::pair<std::string, std::string>>& values = {});

// What identifies an installation and its user in the index.
std::string index_stamp(const Installation& installation, const Home& home);

}  // namespace sg
