#include "lookup/announce.hpp"

#include "lookup/source_uri.hpp"

namespace sg {

void announce(PluginHost& plugins, const char* event, const SourceRequest& request, const std::string& key,
              const std::string& path) {
    if (!plugins.listens(event)) return;
    const std::string reference = request.scheme + ":" + without_secret(request.reference);
    // A key may say more than the digest, as the platform that was chosen.
    const std::string digest = key.starts_with("sha256:") ? key.substr(0, 71) : std::string();
    plugins.notify({event, reference.c_str(), digest.c_str(), path.c_str(), nullptr, 0});
}

}  // namespace sg
