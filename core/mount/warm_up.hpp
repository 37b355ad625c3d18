// What nearly every container asks its image for first, asked for by whoever made the mount, so that it is in the kernel's caches:
// the names of the root, users and groups, the environment's scripts, the shell, its loader and the C library. Images
// without them lose nothing, links lead nowhere outside of the image.
#pragma once
#include "base/unique_fd.hpp"

namespace sg {

class WarmUp {
public:
    // `root`: a descriptor of the mounted image's root. Waits for what is small.
    explicit WarmUp(int root) noexcept;

    // The large files: the kernel begins to read them, nobody waits.
    void read_ahead() const noexcept;

private:
    UniqueFd loader_, library_;
};

}  // namespace sg
