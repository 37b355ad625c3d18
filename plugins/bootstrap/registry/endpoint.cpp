#include "registry/endpoint.hpp"

#include "registry/url.hpp"

namespace registry {
namespace {

using singularity::Code;
using singularity::Error;

// `name` is "host[:port]/path".
Endpoint endpoint(const std::string& name, bool insecure, bool no_https) {
    const size_t slash = name.find('/');
    if (slash == std::string::npos || slash + 1 >= name.size())
        throw Error(Code::invalid, "registries.conf leads to \"" + name + "\", which names no repository");
    Endpoint out;
    out.host = name.substr(0, slash);
    out.repository = name.substr(slash + 1);
    out.shown = name;
    const bool hub = out.host == "docker.io" || out.host == "index.docker.io" || out.host == "registry-1.docker.io";
    out.server = hub ? "https://index.docker.io/v1/" + out.repository : name;
    if (hub) out.host = "registry-1.docker.io";
    // On the machine itself nobody listens in: http first spares the other handshake.
    if (no_https || is_loopback(host_of(out.host)))
        out.schemes = {"http", "https"};
    else if (insecure)
        out.schemes = {"https", "http"};
    else
        out.schemes = {"https"};
    out.verify_tls = !(no_https || insecure);
    return out;
}

const RegistryEntry* entry_for(const sources::ImageReference& reference, const RegistriesConf& conf) {
    const RegistryEntry* entry = conf.match(reference.name());
    if (entry && entry->blocked)
        throw Error(Code::veto, "registry " + entry->prefix + " is blocked in " + entry->file,
                    "This machine's configuration forbids images from there; ask who set it up.");
    return entry;
}

}  // namespace

std::vector<Endpoint> endpoints_of(const sources::ImageReference& reference, const RegistriesConf& conf, bool no_https) {
    std::vector<Endpoint> out;
    const RegistryEntry* entry = entry_for(reference, conf);
    if (entry) {
        const bool by_digest = !reference.digest.empty();
        for (const Mirror& m : entry->mirrors) {
            if (m.use == Mirror::Use::digest_only ? !by_digest : m.use == Mirror::Use::tag_only && by_digest) continue;
            out.push_back(endpoint(rewritten(reference.name(), *entry, m.location), m.insecure, false));
            out.back().mirror = true;
        }
    }
    out.push_back(target_of(reference, conf, no_https));
    return out;
}

Endpoint target_of(const sources::ImageReference& reference, const RegistriesConf& conf, bool no_https) {
    const RegistryEntry* entry = entry_for(reference, conf);
    const std::string name = entry ? rewritten(reference.name(), *entry, entry->location) : reference.name();
    Endpoint out = endpoint(name, entry && entry->insecure, no_https);
    out.shown = reference.name();
    if (name != out.shown) out.led = name;
    return out;
}

std::string joined_reference(const std::string& registry, const std::string& name_space, const std::string& reference) {
    std::string out = reference;
    if (!name_space.empty()) out = name_space + "/" + out;
    if (!registry.empty()) out = registry + "/" + out;
    return out;
}

}  // namespace registry
