// Devices by the Container Device Interface: specification 0.8.0 of the CNCF, as JSON or YAML files of a vendor.
// A file of these is read only when --device asks for one; this is not on the way of another start.
#pragma once
#include <string>
#include <vector>

#include "runtime/host_files.hpp"

namespace sg::runtime {

// Where vendors put their files: the later wins for the same device.
extern const std::vector<std::string> cdi_directories;

// Adds what the devices "VENDOR/CLASS=NAME" need. Unknown devices: Code::not_found naming those that there are; a
// file that cannot be understood: a warning, and Code::corrupt when a device is then missing.
void find_cdi_devices(const std::vector<std::string>& devices, const std::vector<std::string>& directories, HostFiles& to);

}  // namespace sg::runtime
