#include "ownership/resolve.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <vector>

namespace sg::ownership {

namespace {

constexpr int most_links = 40;  // the kernel's MAXSYMLINKS
constexpr uint64_t proc_root_inode = 1;

bool same_place(int a, int b) {
    struct statx one {
    }, two{};
    if (statx(a, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &one) != 0 ||
        statx(b, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &two) != 0)
        return false;
    return one.stx_ino == two.stx_ino && one.stx_dev_major == two.stx_dev_major &&
           one.stx_dev_minor == two.stx_dev_minor && one.stx_mnt_id == two.stx_mnt_id;
}

bool on_proc(int fd) {
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

bool is_proc_root(int fd) {
    struct stat st;
    return on_proc(fd) && fstat(fd, &st) == 0 && st.st_ino == proc_root_inode;
}

UniqueFd copy_of(int fd) { return UniqueFd(openat(fd, ".", O_PATH | O_CLOEXEC)); }

// The names of a path, the last one first; a "/" behind the last one counts as ".".
void push_names(std::vector<std::string>& to, std::string_view path) {
    std::vector<std::string> names;
    for (size_t at = 0; at < path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        if (end > at) names.emplace_back(path.substr(at, end - at));
        at = end + 1;
    }
    if (!names.empty() && path.back() == '/') names.emplace_back(".");
    to.insert(to.end(), std::make_move_iterator(names.rbegin()), std::make_move_iterator(names.rend()));
}

}  // namespace

int resolve(const Viewpoint& from, std::string_view path, bool follow, Place& out) {
    out = {};
    if (path.empty()) return ENOENT;
    const auto refused = [&](const UniqueFd& object) { return from.may_enter && !from.may_enter(object.get()); };
    const int first = path[0] == '/' ? from.root : from.start;
    if (from.may_enter && !from.may_enter(first)) return EXDEV;
    UniqueFd at = copy_of(first);
    if (!at) return errno;
    std::vector<std::string> left;
    push_names(left, path);
    int links = 0;
    while (!left.empty()) {
        std::string name = std::move(left.back());
        left.pop_back();
        if (name == ".") continue;
        if (name == "..") {
            if (!same_place(at.get(), from.root)) at.reset(openat(at.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
            if (!at) return errno;
            if (refused(at)) return EXDEV;
            continue;
        }
        if (name.size() > NAME_MAX) return ENAMETOOLONG;
        if ((name == "self" || name == "thread-self") && is_proc_root(at.get()) && (!left.empty() || follow)) {
            at = from.own_process ? from.own_process(name != "self") : UniqueFd();
            if (!at) return ENOENT;
            continue;
        }
        // What stands behind the name but is no name of its own ("made/") changes nothing of what is missing.
        const bool last = left.empty() || (left.size() == 1 && left[0] == ".");
        UniqueFd child(openat(at.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        if (!child) {
            if (errno != ENOENT || !last) return errno;
            out.parent = std::move(at);
            out.name = std::move(name);
            return 0;
        }
        if (refused(child)) return EXDEV;
        struct stat st;
        if (fstat(child.get(), &st) != 0) return errno;
        if (S_ISLNK(st.st_mode) && (!left.empty() || follow)) {
            if (++links > most_links) return ELOOP;
            if (on_proc(child.get()) && !is_proc_root(at.get())) {
                at.reset(openat(at.get(), name.c_str(), O_PATH | O_CLOEXEC));
                if (!at) return errno;
                if (refused(at)) return EXDEV;
                continue;
            }
            char target[PATH_MAX];
            const ssize_t n = readlinkat(child.get(), "", target, sizeof target);
            if (n < 0) return errno;
            if (n == 0) return ENOENT;
            if (target[0] == '/') at = copy_of(from.root);
            if (!at) return errno;
            push_names(left, {target, static_cast<size_t>(n)});
            continue;
        }
        if (last) {
            if (!left.empty() && !S_ISDIR(st.st_mode)) return ENOTDIR;
            out.object = std::move(child);
            out.parent = std::move(at);
            out.name = std::move(name);
            return 0;
        }
        at = std::move(child);
    }
    out.object = std::move(at);
    return 0;
}

int find_object(const Viewpoint& from, const std::string& path, bool follow, UniqueFd& out) {
    if (path.empty()) return ENOENT;
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW);
    // A relative path that leaves its start, or a link that does, is walked below.
    how.resolve = RESOLVE_NO_MAGICLINKS | (path[0] == '/' ? RESOLVE_IN_ROOT : RESOLVE_BENEATH);
    if (from.may_enter) {
        how.resolve |= RESOLVE_NO_XDEV;
        if (!from.may_enter(path[0] == '/' ? from.root : from.start)) return EXDEV;
    }
    out.reset(static_cast<int>(
        syscall(SYS_openat2, path[0] == '/' ? from.root : from.start, path.c_str(), &how, sizeof how)));
    if (out) return 0;
    Place place;
    if (const int error = resolve(from, path, follow, place); error != 0) return error;
    if (!place.object) return ENOENT;
    out = std::move(place.object);
    return 0;
}

}  // namespace sg::ownership
