// What pacman is told for a definition's header. It is called as pacstrap calls it, which is no more than that, mounts that the build
// makes itself, and a copy of the machine's keys and mirrors that does not belong into an image.
#pragma once
#include <singularity/bootstrap.hpp>
#include <string>
#include <vector>

namespace arch {

// Arch's repositories on the mirror of the header, or on Arch's own. Throws Code::invalid.
std::string configuration_for(const singularity::SourceSpec& spec);

// `cache` receives what is fetched, and lies outside of the image. Throws Code::invalid.
std::vector<std::string> command_for(const singularity::SourceSpec& spec, const std::string& configuration, const std::string& cache,
                                     const std::string& rootfs);

}  // namespace arch
