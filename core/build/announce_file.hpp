// Tells hooks of a file that is there now: of a source's single file that has come over the network, of an image that
// was built.
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

// `built`, of the image that has its name now. `digest`: of the manifest that it was made from, or "". Who signed it,
// and the file's own digest where there is no other, is found out where a hook wants it. Forbids nothing.
void announce_built(PluginHost& plugins, const std::string& reference, const std::string& digest,
                    const std::string& path, const sg_call* call);

}  // namespace sg
