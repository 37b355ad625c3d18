// Reads ahead what every program of an image needs first, while its container is still being set up.
#pragma once

namespace sg {

// `root` is open on the image's mount. Tells the kernel the names in its root by one listing, and has the dynamic loader
// of /bin/sh and the C library beside it read into the page cache. Waits for no data. What cannot be had is left out.
void warm_up(int root) noexcept;

}  // namespace sg
