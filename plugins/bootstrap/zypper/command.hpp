// What zypper is told for a definition's header.
#pragma once
#include <singularity/bootstrap.hpp>
#include <string>
#include <utility>
#include <vector>

namespace zypper {

// Files below /etc/zypp/repos.d, which stay in the image: name and text. Throws Code::invalid for a header that misses a key or has a
// wrong one.
std::vector<std::pair<std::string, std::string>> repositories_for(const singularity::SourceSpec& spec);

// Fetches what the repositories hold; keys that sign them are taken on.
std::vector<std::string> refresh_command(const singularity::SourceSpec& spec, const std::string& rootfs);
std::vector<std::string> install_command(const singularity::SourceSpec& spec, const std::string& rootfs);

}  // namespace zypper
