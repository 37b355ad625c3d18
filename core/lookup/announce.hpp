// Tells hooks what becomes of a request.
#pragma once
#include <string>

#include "lookup/request.hpp"
#include "plugin/host.hpp"

namespace sg {

// `key`: of the image, when it is known: a digest is handed on, another key is not. `path`: of the file that is made or
// was fetched, or "". Throws Code::veto when a hook forbids what would come next. Nothing is worked out when no hook
// listens.
// `fetched` of a single file: build/announce_file.hpp.
void announce(PluginHost& plugins, const char* event, const SourceRequest& request, const std::string& key,
              const std::string& path = {});

// What hooks are told of a request, without passwords; and the digest in a key, "" when it holds none.
std::string told_reference(const SourceRequest& request);
std::string told_digest(const std::string& key);

}  // namespace sg
