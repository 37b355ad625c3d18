#include "files.hpp"

#include <sys/sendfile.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <singularity/error.hpp>

namespace tarball {

using singularity::Code;
using singularity::Error;

namespace {

[[noreturn]] void fail(const char* what) {
    const int why = errno;
    throw Error(why == ENOSPC || why == EDQUOT ? Code::no_space : Code::io,
                std::string(what) + ": " + std::strerror(why))
        .because(why);
}

}  // namespace

uint64_t read_at(int fd, void* data, uint64_t size, uint64_t offset) {
    uint64_t done = 0;
    while (done < size) {
        const ssize_t n = ::pread(fd, static_cast<char*>(data) + done, size - done, static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("reading the tarball");
        if (n == 0) break;
        done += static_cast<uint64_t>(n);
    }
    return done;
}

void write_all(int fd, const void* data, uint64_t size) {
    for (auto at = static_cast<const char*>(data); size > 0;) {
        const ssize_t n = ::write(fd, at, std::min<uint64_t>(size, 1 << 30));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("writing the tarball");
        at += n, size -= static_cast<uint64_t>(n);
    }
}

void copy(int from, uint64_t offset, int to, uint64_t size) {
    for (auto at = static_cast<off_t>(offset); size > 0;) {
        const ssize_t n = ::sendfile(to, from, &at, std::min<uint64_t>(size, 1 << 30));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("writing the tarball");
        if (n == 0) throw Error(Code::io, "writing the tarball: the temporary file is shorter than it was");
        size -= static_cast<uint64_t>(n);
    }
}

}  // namespace tarball
