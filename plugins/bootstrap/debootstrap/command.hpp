// The command line of debootstrap for a definition's header.
#pragma once
#include <singularity/bootstrap.hpp>

#include <string>
#include <vector>

namespace debootstrap {

// Throws Code::invalid for a header that misses a key or has a value that could be taken for an option.
std::vector<std::string> command_for(const singularity::SourceSpec& spec, const std::string& rootfs);

}  // namespace debootstrap
