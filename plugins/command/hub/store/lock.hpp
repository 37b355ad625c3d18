// One hub serves a directory: a second would not know of the first one's running uploads and builds.
#pragma once
#include <string>

#include "hub/store/blobs.hpp"

namespace hub {

// Held while it lives, and by the kernel alone: it ends with the process, however that ends. The other verbs, which the
// database keeps apart, do not take it.
class DirectoryLock {
public:
    // Makes the directory (0700) and its file `lock`, which names the process. Throws Code::exists when another holds
    // it.
    explicit DirectoryLock(const std::string& directory);

private:
    File file_;
};

}  // namespace hub
