#include "ownership/files.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <climits>

namespace sg::ownership {

namespace {

bool look_at(int fd, struct statx& st) {
    return statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &st) == 0;
}

// Changes nothing of a file but that the overlay copies it up.
bool copy_up(int fd) {
    struct stat st;
    if (fstat(fd, &st) != 0) return false;
    const timespec times[2] = {{0, UTIME_OMIT}, st.st_mtim};
    return utimensat(fd, "", times, AT_EMPTY_PATH) == 0;
}

}  // namespace

std::string path_of_descriptor(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

Files::Seen Files::look(int object) {
    Seen out;
    struct statfs fs;
    struct statx st {};
    if (fstatfs(object, &fs) != 0 || !look_at(object, st)) return out;
    const auto known = [&](const struct statx& at) {
        out.identity = identity_of(at);
        out.record = record_.find(*out.identity);
        if (out.record) out.owner = {out.record->uid, out.record->gid};
    };
    if (fs.f_type != OVERLAYFS_SUPER_MAGIC || layer_path_.empty()) {
        known(st);
        return out;
    }
    if (st.stx_nlink == 0) return out;  // removed: it has no name any more
    char text[PATH_MAX];
    const ssize_t n = readlink(path_of_descriptor(object).c_str(), text, sizeof text);
    if (n <= 0 || n == sizeof text || text[0] != '/') return out;
    std::string path(text, static_cast<size_t>(n));
    if (path.ends_with(" (deleted)") && look_at(object, st) && st.stx_nlink == 0) return out;  // since a moment ago
    if (!place_.empty() && (path == place_ || path.starts_with(place_ + "/"))) path.erase(0, place_.size());
    if (!path.empty()) path.erase(0, 1);
    if (!layer_) layer_.reset(open(layer_path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    open_how how{};
    how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    const UniqueFd upper(
        static_cast<int>(syscall(SYS_openat2, layer_.get(), path.empty() ? "." : path.c_str(), &how, sizeof how)));
    struct statx below {};
    // Another type: a file of an overlay that the script made itself.
    if (upper && look_at(upper.get(), below) && (below.stx_mode & S_IFMT) == (st.stx_mode & S_IFMT)) {
        known(below);
        // The overlay marks what it copied up; what was made anew has no mark.
        if (out.record || getxattr(path_of_descriptor(upper.get()).c_str(), "user.overlay.origin", nullptr, 0) < 0)
            return out;
    } else {
        out.base_only = true;
    }
    if (base_)
        if (const auto owner = base_(path)) out.owner = *owner;
    return out;
}

RecordedFile* Files::entry(int object) { return entry(object, look(object)); }

RecordedFile* Files::entry(int object, Seen seen) {
    const Owner before = seen.owner;
    if (seen.base_only && copy_up(object)) seen = look(object);
    if (!seen.identity) return nullptr;
    if (!seen.record) {
        RecordedFile& made = record_.add(*seen.identity);
        made.uid = before.uid, made.gid = before.gid;
        return &made;
    }
    return &record_.add(*seen.identity);
}

RecordedFile* Files::device_entry(int object) {
    struct statx st {};
    RecordedFile* out = entry(object);
    if (out && look_at(object, st)) device_inodes_.insert(st.stx_ino);
    return out;
}

void Files::know_unnamed(int object, const Owner& owner) {
    struct statx st {};
    if (!look_at(object, st)) return;
    RecordedFile& entry = unnamed_.add(identity_of(st));
    entry.uid = owner.uid, entry.gid = owner.gid;
}

std::optional<Owner> Files::unnamed(int object) const {
    struct statx st {};
    const RecordedFile* entry = look_at(object, st) ? unnamed_.find(identity_of(st)) : nullptr;
    return entry ? std::optional(Owner{entry->uid, entry->gid}) : std::nullopt;
}

}  // namespace sg::ownership
