// The services of the active remote, ready to be asked: what most plugins need of this family.
#pragma once
#include <vector>

#include "remotes/config.hpp"
#include "remotes/service.hpp"

namespace remotes {

// `service` is "library", "builder", ...; `url` "" means the active remote's, anything else (a user's --library or
// --builder) that address. The token is the active remote's when the address is its, or that of the remote of that
// host; else there is none.
Service active_service(const std::string& service, const std::string& url, const Host& host);

struct KeyServer {
    std::string url;            // http or https
    std::string authorization;  // value of the header, "" = none; a secret
    bool insecure = false;
};

// Of the active remote, in order. Empty when nobody has chosen one: the default remote, with no list of its own.
std::vector<KeyServer> active_keyservers(const Host& host);
// The authorization that is kept for a key server that somebody names; "" = none.
std::string authorization_of(const std::string& url, const Host& host);

// Where a person gets a token for the active remote, as "https://HOST/auth/tokens".
std::string token_page(const Remote& remote);

}  // namespace remotes
