#include "lookup/cache_places.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/log.hpp"
#include "config/home.hpp"

namespace sg {

namespace {

bool somebody_elses(const std::string& path) {
    struct stat st;
    return stat(path.c_str(), &st) == 0 && st.st_uid != geteuid();
}

}  // namespace

CachePlaces cache_places(const Settings& settings) {
    CachePlaces places;
    if (settings.boolean("cache.disable")) return places;
    places.shared = settings.text("cache.shared");
    if (!places.shared.empty() && access(places.shared.c_str(), R_OK | X_OK) != 0) {
        log::verbose("the shared cache " + places.shared + " (cache.shared) is not used: " + std::strerror(errno));
        places.shared.clear();
    }
    std::string root;
    bool foreign = false;
    if (const std::string configured = settings.text("cachedir"); !configured.empty()) {
        root = configured + "/cache";
        foreign = somebody_elses(root);
    } else {
        const Home home = Home::find();
        if (home.path.empty()) {
            log::warning("no home directory: nothing is cached");
            return places;
        }
        root = home.config + "/cache";
        foreign = somebody_elses(home.path) || somebody_elses(root);
        if (access(home.path.c_str(), F_OK) != 0) {
            log::warning("there is no home directory " + home.path + ": nothing is cached");
            return places;
        }
    }
    if (foreign)
        log::verbose("the cache " + root + " is somebody else's: nothing is written there, and only blobs are read");
    (foreign ? places.foreign : places.own) = root;
    return places;
}

}  // namespace sg
