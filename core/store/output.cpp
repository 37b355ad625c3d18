#include "store/output.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "base/error.hpp"
#include "base/log.hpp"
#include "store/owner.hpp"

namespace sg {

namespace {

constexpr const char* kMark = ".partial-";
constexpr size_t kLongest = 160;        // bytes of a target's name in that of its temporary
constexpr time_t kLong = 24 * 60 * 60;  // seconds; who writes for so long writes now and then

std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

std::string base_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string random_suffix() {
    unsigned bits = 0;
    if (getrandom(&bits, sizeof bits, 0) != sizeof bits) throw_errno("cannot get random bytes", "");
    char text[12];
    std::snprintf(text, sizeof text, "%08x", bits);
    return text;
}

// ".NAME.partial-OWNER-RANDOM" in the target's directory; a long name is cut, as no name has more than 255 bytes.
std::string mark_of(const std::string& target) { return "." + base_of(target).substr(0, kLongest) + kMark; }

std::string new_name(const std::string& target) {
    return directory_of(target) + "/" + mark_of(target) + Owner::self().short_text() + "-" + random_suffix();
}

// Whether nobody fills it any more. A lock tells that only where it was made on this machine: elsewhere a network file
// system may have no locks, or grant one that another host holds.
bool is_left_over(int fd, const struct stat& st, std::string_view owner_text) {
    const auto owner = Owner::parse(owner_text);
    const bool old = st.st_mtim.tv_sec < time(nullptr) - kLong;
    if (!owner || !owner->same_host()) return old;
    switch (owner->state()) {
        case Owner::State::alive: return false;
        case Owner::State::dead: return true;
        case Owner::State::unknown: break;
    }
    return flock(fd, LOCK_EX | LOCK_NB) == 0 || old;
}

// A rename would put a file in the place of /dev/null or of a pipe that somebody reads.
void refuse_what_is_no_file(const std::string& target) {
    struct stat st;
    if (lstat(target.c_str(), &st) != 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)) return;
    const char* kind = S_ISFIFO(st.st_mode) ? "a pipe" : S_ISSOCK(st.st_mode) ? "a socket" : "a device";
    throw Error(Code::invalid, "cannot write " + target + ": it is " + kind, "An image gets its name when it is whole: name a file.");
}

// What killed runs left for this target.
void remove_leftovers(const std::string& target) {
    const std::string dir = directory_of(target), mark = mark_of(target);
    DIR* d = opendir(dir.c_str());
    if (!d) return;
    while (const dirent* e = readdir(d)) {
        const std::string name = e->d_name;
        const auto end = name.rfind('-');
        if (name.compare(0, mark.size(), mark) != 0 || end < mark.size() || name.size() != end + 9) continue;
        const std::string path = dir + "/" + name;
        UniqueFd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
        struct stat st;
        if (!fd || fstat(fd.get(), &st) != 0 || st.st_uid != geteuid()) continue;
        if (!is_left_over(fd.get(), st, std::string_view(name).substr(mark.size(), end - mark.size()))) continue;
        log::verbose("removing " + path + ", left by a run that was killed");
        try {
            remove_tree(path);
        } catch (const Error& e) {
            log::verbose(e.message());
        }
    }
    closedir(d);
}

void sync_directory(const std::string& dir) {
    UniqueFd fd(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd) fsync(fd.get());  // a file system that cannot sync a directory has nothing better
}

void remove_at(int dir, const char* name, const std::string& shown) {
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return;
        throw_errno("cannot remove", shown);
    }
    if (!S_ISDIR(st.st_mode)) {
        if (unlinkat(dir, name, 0) != 0 && errno != ENOENT) throw_errno("cannot remove", shown);
        return;
    }
    UniqueFd fd(openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd && errno == EACCES && fchmodat(dir, name, 0700, 0) == 0)
        fd.reset(openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) throw_errno("cannot remove", shown);
    if ((st.st_mode & 0300) != 0300) fchmod(fd.get(), 0700);
    const int copy = dup(fd.get());
    DIR* d = copy >= 0 ? fdopendir(copy) : nullptr;
    if (!d) {
        if (copy >= 0) close(copy);
        throw_errno("cannot read", shown);
    }
    try {
        while (const dirent* e = readdir(d)) {
            const std::string child = e->d_name;
            if (child != "." && child != "..") remove_at(fd.get(), child.c_str(), shown + "/" + child);
        }
    } catch (...) {
        closedir(d);
        throw;
    }
    closedir(d);
    if (unlinkat(dir, name, AT_REMOVEDIR) != 0 && errno != ENOENT) throw_errno("cannot remove", shown);
}

}  // namespace

void remove_tree(const std::string& path) { remove_at(AT_FDCWD, path.c_str(), path); }

void copy_file(const std::string& from, int to) {
    UniqueFd fd(open(from.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) throw_errno("cannot open", from);
    constexpr size_t step = 1 << 30;
    for (;;) {
        const ssize_t n = copy_file_range(fd.get(), nullptr, to, nullptr, step, 0);
        if (n == 0) return;
        if (n > 0 || errno == EINTR) continue;
        if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
            throw_errno("cannot copy", from);
        break;
    }
    // Not between these two file systems: through memory, from where that stopped.
    std::vector<char> buffer(1 << 20);
    for (;;) {
        const ssize_t n = read(fd.get(), buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot read", from);
        if (n == 0) return;
        for (ssize_t done = 0; done < n;) {
            const ssize_t w = write(to, buffer.data() + done, static_cast<size_t>(n - done));
            if (w < 0 && errno == EINTR) continue;
            if (w < 0) throw_errno("cannot copy", from);
            done += w;
        }
    }
}

OutputFile::OutputFile(std::string target, unsigned mode) : target_(std::move(target)) {
    struct stat st;
    if (lstat(target_.c_str(), &st) == 0 && S_ISDIR(st.st_mode))
        throw Error(Code::invalid, "cannot write " + target_ + ": it is a directory",
                    "Name a file, or remove the directory first.");
    refuse_what_is_no_file(target_);
    remove_leftovers(target_);
    const std::string dir = directory_of(target_);
    fd_.reset(open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
    if (fd_) return;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOTSUP && errno != EINVAL)
        throw_errno("cannot write to", dir);
    // This file system has no unnamed files: a named one, locked for as long as it is being written.
    name_ = new_name(target_);
    fd_.reset(open(name_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, mode));
    if (!fd_) {
        name_.clear();
        throw_errno("cannot write to", dir);
    }
    flock(fd_.get(), LOCK_EX | LOCK_NB);
}

OutputFile::~OutputFile() {
    if (!name_.empty()) unlink(name_.c_str());
}

void OutputFile::commit(bool sync) {
    if (sync && fsync(fd_.get()) != 0) throw_errno("cannot write", target_);
    if (name_.empty()) {
        const std::string name = new_name(target_);
        const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
        if (linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0)
            throw_errno("cannot write", target_);
        name_ = name;
    }
    if (rename(name_.c_str(), target_.c_str()) != 0) throw_errno("cannot write", target_);
    name_.clear();
    if (sync) sync_directory(directory_of(target_));
}

OutputDirectory::OutputDirectory(std::string target) : target_(std::move(target)) {
    while (target_.size() > 1 && target_.back() == '/') target_.pop_back();
    refuse_what_is_no_file(target_);
    remove_leftovers(target_);
    name_ = new_name(target_);
    if (mkdir(name_.c_str(), 0755) != 0) {
        const int e = errno;
        name_.clear();
        throw system_error(e, "cannot write to", directory_of(target_));
    }
    lock_.reset(open(name_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (lock_) flock(lock_.get(), LOCK_EX | LOCK_NB);
}

OutputDirectory::~OutputDirectory() {
    if (committed_ || name_.empty()) return;
    try {
        remove_tree(name_);
    } catch (const Error& e) {
        log::warning(e.message());
    }
}

void OutputDirectory::commit() {
    if (syscall(SYS_renameat2, AT_FDCWD, name_.c_str(), AT_FDCWD, target_.c_str(), 2u /* RENAME_EXCHANGE */) == 0) {
        committed_ = true;
        sync_directory(directory_of(target_));
        remove_tree(name_);  // the older one
        return;
    }
    if (errno != ENOENT) {
        // No exchange on this file system: the older one steps aside first.
        const std::string old = new_name(target_);
        if (rename(target_.c_str(), old.c_str()) != 0 && errno != ENOENT) throw_errno("cannot replace", target_);
        if (rename(name_.c_str(), target_.c_str()) != 0) {
            const int e = errno;
            rename(old.c_str(), target_.c_str());
            throw system_error(e, "cannot write", target_);
        }
        committed_ = true;
        remove_tree(old);
        return;
    }
    if (rename(name_.c_str(), target_.c_str()) != 0) throw_errno("cannot write", target_);
    committed_ = true;
    sync_directory(directory_of(target_));
}

}  // namespace sg
