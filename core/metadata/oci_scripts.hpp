// From an OCI image's config to the scripts that act like it (OCI image-spec, config.md: Entrypoint, Cmd, Env).
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "image/config.hpp"

namespace sg {

// The runscript: ENTRYPOINT and CMD by the three cases, words evaluated by the shell unless
// SINGULARITY_NO_EVAL is set, and a shell when the image names no program.
std::string oci_runscript(const ImageConfig& config);

// env/10-docker2singularity.sh: PATH is set, other variables only where the caller has not set them. Elements whose
// name no shell can have are left out; their names are added to `skipped` when that is given.
std::string oci_environment(const ImageConfig& config, std::vector<std::string>* skipped = nullptr);

}  // namespace sg
