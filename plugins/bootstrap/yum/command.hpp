// What dnf (or yum) is told for a definition's header.
#pragma once
#include <singularity/bootstrap.hpp>
#include <string>
#include <vector>

namespace yum {

// Below the root file system, and removed from it at the end.
inline constexpr const char* cache_directory = "/var/cache/bootstrap";

// Its configuration: the header's repositories alone, whatever the machine has. `key` is the URL of the key that signs packages, ""
// for none. Throws Code::invalid for a header that misses a key or has a wrong one, and for a key that can be changed on its way.
std::string configuration_for(const singularity::SourceSpec& spec, const std::string& key);

// The command line. Throws Code::invalid as above.
std::vector<std::string> command_for(const singularity::SourceSpec& spec, const std::string& program, const std::string& configuration,
                                     const std::string& rootfs);

}  // namespace yum
