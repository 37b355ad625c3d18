#include "sandbox/file.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>

namespace sandbox {

using singularity::Code;
using singularity::Error;

Fd::~Fd() {
    if (fd_ >= 0) ::close(fd_);
}

Error system_error(int error, const std::string& what, const std::string& path) {
    Code code = Code::io;
    switch (error) {
        case ENOENT:
        case ENOTDIR: code = Code::not_found; break;
        case EEXIST:
        case ENOTEMPTY: code = Code::exists; break;
        case EACCES:
        case EPERM:
        case EROFS: code = Code::permission; break;
        case ENOSPC:
        case EDQUOT: code = Code::no_space; break;
        case ENAMETOOLONG:
        case EFBIG: code = Code::limit; break;
        default: break;
    }
    return Error(code, what + " " + path + ": " + strerrordesc_np(error));
}

void throw_errno(const std::string& what, const std::string& path) { throw system_error(errno, what, path); }

namespace {

// One component after another: for kernels before 5.6, sandboxes that forbid openat2, and very long paths.
Fd walk(int root, const std::string& relative, int flags) {
    Fd at;
    size_t begin = 0;
    for (;;) {
        const size_t slash = relative.find('/', begin);
        const bool last = slash == std::string::npos;
        const std::string name = relative.substr(begin, last ? std::string::npos : slash - begin);
        const int how = last ? flags | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_NOFOLLOW;
        Fd next(::openat(at ? at.get() : root, name.c_str(), how | O_CLOEXEC));
        if (!next || last) return next;
        at = std::move(next);
        begin = slash + 1;
    }
}

}  // namespace

void write_all(int fd, const singularity::Slice& slice, uint64_t offset, const std::string& path) {
    uint64_t done = 0;
    while (done < slice.size()) {
        const ssize_t n = ::pwrite(fd, slice.data() + done, static_cast<size_t>(slice.size() - done),
                                   static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot write", path);
        done += static_cast<uint64_t>(n);
    }
}

Fd open_beneath(int root, const std::string& relative, int flags) {
    // openat2 refuses what openat ignores: with O_PATH no other flag of opening may stand.
    if (flags & O_PATH) flags &= O_PATH | O_DIRECTORY;
    if (relative.empty()) return Fd(::openat(root, ".", flags | O_CLOEXEC));
    static std::atomic<bool> have_openat2{true};
    if (have_openat2.load(std::memory_order_relaxed) && relative.size() < PATH_MAX - 1) {
        struct open_how how {};
        how.flags = static_cast<uint64_t>(flags | O_NOFOLLOW | O_CLOEXEC);
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
        const long fd = ::syscall(SYS_openat2, root, relative.c_str(), &how, sizeof how);
        if (fd >= 0) return Fd(static_cast<int>(fd));
        if (errno != ENOSYS && errno != EPERM && errno != EAGAIN) return {};
        if (errno == ENOSYS) have_openat2.store(false, std::memory_order_relaxed);
    }
    return walk(root, relative, flags);
}

}  // namespace sandbox
