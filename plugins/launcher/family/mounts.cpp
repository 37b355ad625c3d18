#include "family/mounts.hpp"

#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

namespace launcher {
namespace {

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#endif
constexpr unsigned at_recursive = 0x8000, open_tree_clone = 1, move_empty_from = 4, move_empty_to = 0x40;

struct MountAttributes {  // struct mount_attr of <linux/mount.h> 5.12
    uint64_t set, clear, propagation, userns_fd;
};
constexpr uint64_t attr_rdonly = 1, attr_nosuid = 2, attr_nodev = 4, attr_noexec = 8;

// Sets flags on a detached mount; nothing of the source's own is lost.
bool set_attributes(int mount, uint64_t set, bool recursive) {
    MountAttributes a{set, 0, 0, 0};
    return ::syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | (recursive ? at_recursive : 0), &a, sizeof a) == 0;
}

// Before Linux 5.12: a remount, which must repeat what the source has (a user namespace may not drop it).
bool remount(const char* path, const Flags& flags) {
    struct statvfs v;
    if (::statvfs(path, &v) != 0) return false;
    unsigned long ms = MS_REMOUNT | MS_BIND;
    if (flags.read_only || (v.f_flag & ST_RDONLY)) ms |= MS_RDONLY;
    if (flags.no_suid || (v.f_flag & ST_NOSUID)) ms |= MS_NOSUID;
    if (flags.no_dev || (v.f_flag & ST_NODEV)) ms |= MS_NODEV;
    if (flags.no_exec || (v.f_flag & ST_NOEXEC)) ms |= MS_NOEXEC;
    if (v.f_flag & ST_NOATIME) ms |= MS_NOATIME;
    if (v.f_flag & ST_NODIRATIME) ms |= MS_NODIRATIME;
    if (v.f_flag & ST_RELATIME) ms |= MS_RELATIME;
    return ::mount(nullptr, path, nullptr, ms, nullptr) == 0;
}

}  // namespace

bool put_mount(int mount, int target) {
    return ::syscall(SYS_move_mount, mount, "", target, "", move_empty_from | move_empty_to) == 0;
}

bool bind(const std::string& source, int target, const Flags& flags, std::string& warning) {
    const uint64_t set = (flags.read_only ? attr_rdonly : 0) | (flags.no_suid ? attr_nosuid : 0) |
                         (flags.no_dev ? attr_nodev : 0) | (flags.no_exec ? attr_noexec : 0);
    static bool have_new_calls = true;  // Linux 5.12: the flags are set before anybody sees the mount
    if (have_new_calls) {
        Fd tree(static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, source.c_str(),
                                           open_tree_clone | O_CLOEXEC | (flags.recursive ? at_recursive : 0) |
                                               (flags.keep_link ? AT_SYMLINK_NOFOLLOW : 0))));
        if (tree && (set == 0 || set_attributes(tree.get(), set, false))) {
            // Read-only is meant for all that is seen there; the rest, as everywhere, for the top mount.
            if (flags.read_only && flags.recursive) (void)set_attributes(tree.get(), attr_rdonly, true);
            return put_mount(tree.get(), target);
        }
        if (errno != ENOSYS && errno != EPERM) return false;
        have_new_calls = errno != ENOSYS;
    }
    const std::string name = fd_path(target);
    if (::mount(source.c_str(), name.c_str(), nullptr, MS_BIND | (flags.recursive ? MS_REC : 0), nullptr) != 0) return false;
    if (set == 0) return true;
    // `target` is below the new mount now; its name leads to what is on top.
    char where[4096];
    const ssize_t n = ::readlink(name.c_str(), where, sizeof where - 1);
    if (n > 0) {
        where[n] = '\0';
        if (remount(where, flags)) return true;
    }
    if (flags.read_only) warning = "cannot make it read-only";
    return true;
}

bool mount_new(const char* type, int target, unsigned long ms_flags, const std::string& data) {
    return ::mount(type, fd_path(target).c_str(), type, ms_flags, data.empty() ? nullptr : data.c_str()) == 0;
}

void set_propagation(const std::string& how) {
    const unsigned long flag = how == "rprivate" || how == "private" ? MS_PRIVATE : MS_SLAVE;
    if (::mount(nullptr, "/", nullptr, MS_REC | flag, nullptr) == 0) return;
    const bool chroot = errno == EINVAL;  // "/" is no mount point
    fail(
        "cannot set the propagation of mounts", {},
        chroot
            ? machine_hint(
                  "this root directory (of a chroot) must be a mount point: 'mount --bind DIR DIR' before 'chroot DIR'")
            : std::string());
}

Session make_session(const std::vector<std::string>& places, uint64_t bytes) {
    std::string data = "mode=0755";
    if (bytes > 0) data += ",size=" + std::to_string(bytes);
    for (const auto& place : places) {
        if (::mount("tmpfs", place.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, data.c_str()) == 0) {
            Session s{place, Fd(::open(place.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC))};
            if (!s.fd) fail("cannot open", place);
            return s;
        }
        if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) fail("while mounting the session's memory on", place);
    }
    throw Error(Code::not_found, "no directory to mount the session's memory on",
                "an existing empty directory PREFIX/var/singularity/mnt/session serves best");
}

}  // namespace launcher
