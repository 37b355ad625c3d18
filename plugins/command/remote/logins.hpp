// Logging in to key servers that are not a remote's own; both verbs can.
#pragma once
#include "remotes/line.hpp"

namespace remote {

inline constexpr const char* visible_password =
    "a password on the command line can be seen by others on this machine: use --password-stdin";

// Checks user and password, or a token without a user, with the server and keeps them in remote.yaml.
int login_keyserver(const remotes::Line& line, const std::string& uri, const singularity::Host& host);
int logout_keyserver(const std::string& uri, const singularity::Host& host);

}  // namespace remote
