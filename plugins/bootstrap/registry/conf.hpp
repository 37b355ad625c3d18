// registries.conf (containers-registries.conf(5), versions 1 and 2, with drop-ins): where a registry's images really
// are, and from where else they may be fetched.
#pragma once
#include <optional>
#include <singularity/error.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace registry {

struct Mirror {
    enum class Use { all, digest_only, tag_only };
    std::string location;  // "host[:port][/path]"
    bool insecure = false;
    Use use = Use::all;
};

struct RegistryEntry {
    std::string prefix;    // of full image names; "*.example.com" is any host below it
    std::string location;  // takes the prefix's place; "" = the name stays
    bool insecure = false;  // http, and https without checks, are allowed
    bool blocked = false;
    std::vector<Mirror> mirrors;  // in order
    std::string file;             // that holds it
};

struct ConfPaths {
    std::string main;                   // "" = none
    bool main_is_named = false;         // the user named it: its absence is an error
    std::vector<std::string> drop_ins;  // directories, later ones win
};
// $CONTAINERS_REGISTRIES_CONF, else the user's, else /etc/containers/registries.conf; registries.conf.d of both.
ConfPaths conf_paths();

class RegistriesConf {
public:
    // Reads what is there. Throws Code::invalid with file and line for what is no valid configuration.
    static RegistriesConf read(const ConfPaths& paths);
    // Adds the text of one file; what it says about a prefix replaces what was known. For tests.
    void add(const std::string& text, const std::string& file);

    // In front of the other mirrors of `prefix`. `file` for messages.
    void add_mirror(const std::string& prefix, Mirror mirror, const std::string& file);

    // The entry with the longest prefix of `name` ("docker.io/library/lolcow"); null: none.
    const RegistryEntry* match(std::string_view name) const;
    bool empty() const { return entries_.empty(); }

private:
    std::vector<RegistryEntry> entries_;
};

// `name` with what matched `entry.prefix` replaced by `location` ("" = unchanged).
std::string rewritten(std::string_view name, const RegistryEntry& entry, const std::string& location);

}  // namespace registry
