#include "store/private_directory.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"

namespace sg {

namespace {

void check_directory(const std::string& path, const struct stat& st) {
    if (!S_ISDIR(st.st_mode))
        throw Error(Code::invalid, path + " is no directory", "Remove it, or name another place by SINGULARITY_CACHEDIR.");
    if (st.st_uid == geteuid() && (st.st_mode & 077) != 0) chmod(path.c_str(), 0700);
}

}  // namespace

void make_private_directory(const std::string& path) {
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        // A read-only file system says so even where the directory exists.
        const int why = errno;
        struct stat st;
        if (lstat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode)) throw system_error(why, "cannot make", path);
    }
    struct stat st;
    if (lstat(path.c_str(), &st) != 0) throw_errno("cannot look at", path);
    check_directory(path, st);
}

void make_cache_root(const std::string& root) {
    for (size_t at = 1; (at = root.find('/', at)) != std::string::npos; ++at) {
        const std::string parent = root.substr(0, at);
        if (mkdir(parent.c_str(), 0755) == 0 || errno == EEXIST) continue;
        // A read-only file system says so even where the directory exists.
        const int why = errno;
        if (access(parent.c_str(), F_OK) != 0) throw system_error(why, "cannot make", parent);
    }
    struct stat st;
    if (stat(root.c_str(), &st) != 0) {
        if (mkdir(root.c_str(), 0700) != 0 && errno != EEXIST) throw_errno("cannot make", root);
        if (stat(root.c_str(), &st) != 0) throw_errno("cannot look at", root);
    }
    check_directory(root, st);
}

}  // namespace sg
