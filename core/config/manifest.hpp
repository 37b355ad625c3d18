// Reads a plugin's manifest (plugin.yaml): all that the host knows before it loads the object.
#pragma once
#include <string>
#include <vector>

#include "config/model.hpp"
#include "config/yaml_source.hpp"

namespace sg {

// `file` is the manifest's absolute path. Members that this version does not know are added to
// `warnings` and skipped; anything else that is wrong throws with FILE:LINE.
model::Plugin parse_manifest(const std::string& file, const YAML::Node& document, std::vector<std::string>& warnings);

}  // namespace sg
