#include "credentials/places.hpp"

#include <sys/stat.h>

#include <cerrno>

namespace sg {

namespace {

constexpr char own_name[] = "/docker-config.json";

// Also when it may not be read: then the user must hear of it.
bool exists(const std::string& path) {
    struct stat st {};
    return stat(path.c_str(), &st) == 0 || (errno != ENOENT && errno != ENOTDIR && errno != EACCES);
}

}  // namespace

Places usual_places(const Home& home, const std::function<const char*(const char*)>& variable) {
    const auto value = [&](const char* name) {
        const char* text = variable(name);
        return std::string(text ? text : "");
    };
    Places places;
    const std::string at_home = home.path == "/" ? "" : home.path;
    if (!home.path.empty()) {
        places.own = home.config + own_name;
        for (const std::string& own : {places.own, at_home + "/.apptainer" + own_name})
            if (exists(own)) {
                places.own_exists = own == places.own;
                places.files.push_back({own});
                return places;
            }
    }
    const auto add = [&](const std::string& directory, const char* name, bool plain = false) {
        if (!directory.empty() && directory.front() == '/') places.files.push_back({directory + name, plain});
    };
    const std::string docker = value("DOCKER_CONFIG");
    if (!docker.empty())
        places.files.push_back({docker + "/config.json"});
    else
        add(home.path.empty() ? "" : at_home + "/.docker", "/config.json");
    if (const std::string named = value("REGISTRY_AUTH_FILE"); !named.empty()) {
        places.files.push_back({named});
    } else {
        add(value("XDG_RUNTIME_DIR"), "/containers/auth.json");
        const std::string config = value("XDG_CONFIG_HOME");
        add(!config.empty() ? config : home.path.empty() ? "" : at_home + "/.config", "/containers/auth.json");
    }
    add(home.path.empty() ? "" : at_home.empty() ? "/" : at_home, "/.dockercfg", true);
    return places;
}

}  // namespace sg
