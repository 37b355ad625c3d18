// May a target that exists be replaced? As Singularity asks.
#pragma once
#include <string>

namespace sg {

// Returns when the target does not exist, or may be replaced: `force`, or the user answered yes to
//     Build target already exists. Do you want to overwrite? [N/y]
// on standard input. Throws Code::exists otherwise. A directory that is not empty and no image of ours
// is never replaced: a slip of the pen must not cost somebody a home directory.
void allow_overwrite(const std::string& target, bool makes_directory, bool force);

}  // namespace sg
