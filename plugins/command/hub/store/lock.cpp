#include "hub/store/lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <singularity/error.hpp>

namespace hub {

using singularity::Code;
using singularity::Error;

namespace {

int locked(const std::string& directory) {
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
        throw Error(Code::io, "cannot make '" + directory + "': " + std::strerror(errno));
    const std::string path = directory + "/lock";
    File file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) throw Error(Code::io, "cannot open '" + path + "': " + std::strerror(errno));
    if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) throw Error(Code::io, "cannot lock '" + path + "': " + std::strerror(errno));
        char text[32] = {};
        const ssize_t n = ::pread(file.fd(), text, sizeof text - 1, 0);
        const std::string process(text, n > 0 ? std::strcspn(text, "\n") : 0);
        throw Error(Code::exists,
                    "another hub serves '" + directory + "'" + (process.empty() ? "" : " (process " + process + ")"),
                    "End it first, or give this one a directory of its own.");
    }
    const std::string text = std::to_string(::getpid()) + "\n";
    if (::ftruncate(file.fd(), 0) != 0 || ::pwrite(file.fd(), text.data(), text.size(), 0) < 0)
        throw Error(Code::io, "cannot write '" + path + "': " + std::strerror(errno));
    return file.release();
}

}  // namespace

DirectoryLock::DirectoryLock(const std::string& directory) : file_(locked(directory)) {}

}  // namespace hub
