// An image file (or any file) that a source gives as one blob, written as it is.
#pragma once
#include <string>

#include "fetch/opened_source.hpp"

namespace sg {

// Writes all of `source`'s blob to `fd`, which is empty and lies in `directory`. Asks for free space first where the
// size is known; compares size and digest. Throws no_space, corrupt, network and the like.
void download(OpenedSource& source, int fd, const std::string& directory);

}  // namespace sg
