// Who signed an image file, as a plugin tells (singularity/policy.h, "signers"). It is verified once: the answer is
// kept in the cache with a stamp of the file (device, inode, size, times of change) and of all that it depends on.
#pragma once
#include <string>
#include <vector>

#include "base/call.hpp"
#include "plugin/host.hpp"

namespace sg::runtime {

// Upper-case fingerprints; none for a directory. Throws Code::unsupported when no plugin can tell, and what that plugin
// reports.
std::vector<std::string> image_signers(PluginHost& plugins, const std::string& path, const sg_call* call);

}  // namespace sg::runtime
