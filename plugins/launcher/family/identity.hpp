// /etc/passwd and /etc/group as the container sees them: the image's, and the user who runs it.
#pragma once
#include "family/spec.hpp"

namespace launcher {

// The image's text with the user's entry: one with the same uid gets the host user's name (not for
// uid 0), gecos and home and keeps the image's gid and shell; without one a line is appended.
std::string passwd_text(const std::string& image, const PasswdEntry& user);

// The image's text and a line for each group that it does not list with that id.
std::string group_text(const std::string& image, const std::string& user, const std::vector<GroupEntry>& groups);

}  // namespace launcher
