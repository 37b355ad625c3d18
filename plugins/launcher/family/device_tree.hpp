// A /dev of the container's own (OCI runtime-spec, "Default Devices"): what programs need, nothing else.
#pragma once
#include "family/spec.hpp"

namespace launcher {

// Fills the empty directory `path`, which lies on a tmpfs of the session; `extra` are more devices
// ("/dev/fuse") to show; `terminals`: with a /dev/pts of its own.
void make_device_tree(const std::string& path, const std::vector<std::string>& extra, bool terminals, const Spec& spec);

}  // namespace launcher
