// Who to be towards a server; what sg_credentials holds, as a value that is wiped.
#pragma once
#include <string>

#include "credentials/secret.hpp"

namespace sg {

struct Login {
    std::string user;    // "" with a secret: the secret is a registry token, sent as it is
    Secret secret;       // password or token
    Secret identity;     // a refresh ("identity") token, or empty
    std::string origin;  // the file or helper that had it
};

}  // namespace sg
