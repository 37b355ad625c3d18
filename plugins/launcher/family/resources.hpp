// Limits as the LaunchSpec has them.
#pragma once
#include <rapidjson/document.h>

#include "family/cgroup.hpp"

namespace launcher {

// Of the object linux.resources. Throws Code::invalid.
Resources read_resources(const rapidjson::Value& resources);

}  // namespace launcher
