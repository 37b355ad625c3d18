// SPDX-License-Identifier: BSD-3-Clause
// squashfs_fuzz.cpp: any bytes as a squashfs image: opened, walked and read within bounds.
#include "../../unit/format.family/walk.hpp"

#include <cstddef>
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
    try {
        const auto reader = squashfs::open_squashfs(fd, 0, size);
        testing::Walk(*reader).all();
    } catch (const singularity::Error&) {
    }
    return 0;
}
