// What the configuration says of registries (keys registry.*): a site's own defaults, before registries.conf.
#pragma once
#include <string>
#include <vector>

#include "registry/conf.hpp"

namespace registry {

struct SiteDefaults {
    std::string server;  // registry.default: "HOST[:PORT][/NAMESPACE]" of names without a host, "" = Docker Hub
    std::string conf;    // registry.config: the only registries.conf, "" = the usual ones
    std::vector<std::string> mirrors;  // registry.mirrors: "PREFIX=[http://]LOCATION", in order
};

// Of the running command.
SiteDefaults site_defaults();

// `reference` with the default registry before it where it names none; `name_space`: a definition file's, which takes
// the place of the default's.
std::string with_default(const SiteDefaults& site, const std::string& name_space, const std::string& reference);

// registries.conf with the site's mirrors before those that it has. Throws Code::invalid for a mirror that is none.
RegistriesConf effective_conf(const SiteDefaults& site);
RegistriesConf effective_conf();

}  // namespace registry
