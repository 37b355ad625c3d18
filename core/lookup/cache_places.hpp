// Which directories on this machine are a cache, and what each may be used for.
#pragma once
#include <string>

#include "config/settings.hpp"

namespace sg {

struct CachePlaces {
    std::string own;      // root of the user's cache; "" = none: switched off, no home, or somebody else's
    std::string shared;   // a site's, below the user's own: only read
    std::string foreign;  // somebody else's: only blobs, whose digests are compared, are read from it
};

// From the keys cachedir, cache.disable and cache.shared. What somebody else owns (sudo -E keeps HOME) is never
// written to (config/home.hpp).
CachePlaces cache_places(const Settings& settings);

}  // namespace sg
