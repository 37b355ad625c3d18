#include "fetch/download.hpp"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"

namespace sg {

void download(OpenedSource& source, int fd, const std::string& directory) {
    const uint64_t size = source.blob_size();
    struct statvfs space;
    if (size != SG_SIZE_UNKNOWN && fstatvfs(fd, &space) == 0 && size / space.f_frsize > space.f_bavail)
        throw Error(Code::no_space, "not enough space in " + directory + ": the file has " + std::to_string(size) + " bytes, and " +
                                        std::to_string(static_cast<uint64_t>(space.f_bavail) * space.f_frsize) + " are free");
    const auto stream = source.blob();
    uint64_t at = 0;
    for (;;) {
        const singularity::Slice slice = stream->next();
        if (slice.size() == 0) break;
        if (slice.is_hole()) {
            at += slice.size();
            if (ftruncate(fd, static_cast<off_t>(at)) != 0) throw_errno("cannot write to", directory);
            continue;
        }
        const uint8_t* data = slice.data();
        for (uint64_t left = slice.size(); left > 0;) {
            const ssize_t n = pwrite(fd, data, left, static_cast<off_t>(at));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno("cannot write to", directory);
            data += n;
            at += static_cast<uint64_t>(n);
            left -= static_cast<uint64_t>(n);
        }
    }
}

}  // namespace sg
