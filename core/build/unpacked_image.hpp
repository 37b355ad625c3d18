// An image file as a directory, for users of machines where nothing can mount it.
#pragma once
#include <string>

#include "plugin/host.hpp"

namespace sg {

// The directory in the cache that holds the root file system of the image at `path`, unpacked at the first call for a
// file (device, inode, size and time tell it) and taken from there afterwards; processes that want it at the same time
// wait for the first of them. Owners are the user's. Throws Code::unsupported when there is no cache.
std::string unpacked_image(PluginHost& plugins, const std::string& path, const sg_call* call);

}  // namespace sg
