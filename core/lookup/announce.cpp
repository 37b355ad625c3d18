#include "lookup/announce.hpp"

#include "lookup/source_uri.hpp"

namespace sg {

std::string told_reference(const SourceRequest& request) {
    return request.scheme + ":" + without_secret(request.reference);
}

// A key may say more than the digest, as the platform that was chosen.
std::string told_digest(const std::string& key) {
    return key.starts_with("sha256:") ? key.substr(0, 71) : std::string();
}

void announce(PluginHost& plugins, const char* event, const SourceRequest& request, const std::string& key,
              const std::string& path) {
    if (!plugins.listens(event)) return;
    const std::string reference = told_reference(request), digest = told_digest(key);
    plugins.notify({event, reference.c_str(), digest.c_str(), path.c_str(), nullptr, 0});
}

}  // namespace sg
