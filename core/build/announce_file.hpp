// Tells hooks that a source's single file has come over the network.
#pragma once
#include <string>

#include "base/call.hpp"
#include "lookup/request.hpp"
#include "plugin/host.hpp"

namespace sg {

// `key` as announce() takes it; `path`: the name that the file is meant to get, `file`: where it can be read now. Who
// signed it, and the digest of a file whose key has none, is found out where a hook wants it. Throws Code::veto when a
// hook forbids what would come next.
void announce_file(PluginHost& plugins, const SourceRequest& request, const std::string& key, const std::string& path,
                   const std::string& file, const sg_call* call);

}  // namespace sg
