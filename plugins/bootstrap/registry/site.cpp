#include "registry/site.hpp"

#include <singularity/host.hpp>

namespace registry {
namespace {

using singularity::Code;
using singularity::Error;

std::string without_slash(std::string text) {
    while (text.ends_with('/')) text.pop_back();
    return text;
}

// As Docker tells a host from a user (distribution/reference: a dot, a colon, or "localhost").
bool names_host(const std::string& reference) {
    const size_t slash = reference.find('/');
    if (slash == std::string::npos) return false;
    const std::string first = reference.substr(0, slash);
    return first == "localhost" || first.find_first_of(".:[ABCDEFGHIJKLMNOPQRSTUVWXYZ") != std::string::npos;
}

}  // namespace

SiteDefaults site_defaults() {
    const singularity::Host host;
    SiteDefaults out;
    out.server = without_slash(host.text("registry.default").value_or(""));
    out.conf = host.text("registry.config").value_or("");
    if (const auto* config = singularity::detail::host_table<sg_host_config_v1>("config"))
        for (uint64_t i = 0; const char* mirror = config->item("registry.mirrors", i); ++i)
            out.mirrors.emplace_back(mirror);
    return out;
}

std::string with_default(const SiteDefaults& site, const std::string& name_space, const std::string& reference) {
    const std::string named = name_space.empty() ? reference : name_space + "/" + reference;
    if (site.server.empty() || names_host(named)) return named;
    return (name_space.empty() ? site.server : site.server.substr(0, site.server.find('/'))) + "/" + named;
}

RegistriesConf effective_conf(const SiteDefaults& site) {
    ConfPaths paths = conf_paths();
    if (!site.conf.empty()) paths = {site.conf, true, {}};
    RegistriesConf conf = RegistriesConf::read(paths);
    // From the last to the first: each goes in front.
    for (auto m = site.mirrors.rbegin(); m != site.mirrors.rend(); ++m) {
        const size_t equals = m->find('=');
        const std::string prefix = without_slash(m->substr(0, equals));
        std::string location = equals == std::string::npos ? "" : without_slash(m->substr(equals + 1));
        const bool insecure = location.starts_with("http://");
        if (insecure) location.erase(0, 7);
        if (location.starts_with("https://")) location.erase(0, 8);
        if (prefix.empty() || location.empty() || (prefix + location).find_first_of(" ?#@") != std::string::npos ||
            location.find("://") != std::string::npos)
            throw Error(Code::invalid, "registry.mirrors: '" + *m + "' is no mirror",
                        "The form is PREFIX=LOCATION, as docker.io=mirror.example.org/hub.");
        conf.add_mirror(prefix, {location, insecure, Mirror::Use::all}, "registry.mirrors");
    }
    return conf;
}

RegistriesConf effective_conf() { return effective_conf(site_defaults()); }

}  // namespace registry
