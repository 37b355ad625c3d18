#include "plugin/temporary.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/error.hpp"

namespace sg {

namespace {

constexpr char prefix[] = "singularity-tmp-";
constexpr time_t young = 60;  // seconds in which a new directory may not have its lock yet

// Removes `name` below the directory `at`. Never follows a link, never leaves the file system; opens one
// directory for each level.
void remove_below(int at, const char* name) {
    if (unlinkat(at, name, 0) == 0 || errno == ENOENT) return;
    UniqueFd fd(openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd && errno == EACCES && fchmodat(at, name, 0700, 0) == 0)
        fd.reset(openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return;
    fchmod(fd.get(), 0700);
    const int copy = fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(fdopendir(copy), closedir);
    if (!dir) return;
    while (const dirent* entry = readdir(dir.get()))
        if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) remove_below(fd.get(), entry->d_name);
    unlinkat(at, name, AT_REMOVEDIR);
}

void remove_left_over(const std::string& base) {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(base.c_str()), closedir);
    if (!dir) return;
    while (const dirent* entry = readdir(dir.get())) {
        if (std::strncmp(entry->d_name, prefix, sizeof prefix - 1) != 0) continue;
        const UniqueFd fd(openat(dirfd(dir.get()), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        struct stat st {};
        if (!fd || fstat(fd.get(), &st) != 0 || st.st_uid != geteuid() || st.st_mtim.tv_sec > time(nullptr) - young) continue;
        if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) remove_below(dirfd(dir.get()), entry->d_name);
    }
}

}  // namespace

Temporary::~Temporary() {
    for (auto& m : made_) remove_below(AT_FDCWD, m.path.c_str());
}

UniqueFd Temporary::file() {
    UniqueFd fd(open(base_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd) return fd;
    // Old network file systems have no O_TMPFILE.
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) throw_errno("cannot make a temporary file in", base_);
    std::string path = base_ + "/" + prefix + "XXXXXX";
    fd.reset(mkostemp(path.data(), O_CLOEXEC));
    if (!fd) throw_errno("cannot make a temporary file in", base_);
    unlink(path.c_str());
    return fd;
}

std::string Temporary::directory() {
    const std::lock_guard lock(mutex_);
    if (made_.empty()) remove_left_over(base_);
    std::string path = base_ + "/" + prefix + "XXXXXX";
    if (!mkdtemp(path.data())) throw_errno("cannot make a temporary directory in", base_);
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd) flock(fd.get(), LOCK_EX | LOCK_NB);
    made_.push_back({path, std::move(fd)});
    return path;
}

}  // namespace sg
