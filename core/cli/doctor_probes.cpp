#include "cli/doctor_probes.hpp"

#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "base/unique_fd.hpp"

namespace sg {

namespace {

// What a child reports; NULL: it went well.
struct Report {
    int reason = 0;
    char step[64] = {};
};

[[noreturn]] void end(int to, const char* step, int reason) {
    Report r;
    r.reason = reason;
    if (step) std::snprintf(r.step, sizeof r.step, "%s", step);
    (void)!::write(to, &r, sizeof r);
    ::_exit(0);
}

Trial in_child(const std::function<void(int to)>& f) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return {errno, "making a pipe"};
    UniqueFd reader(ends[0]), writer(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) return {errno, "starting a process"};
    if (child == 0) {
        f(writer.get());
        end(writer.get(), nullptr, 0);
    }
    writer.reset();
    Report r;
    const bool whole = ::read(reader.get(), &r, sizeof r) == static_cast<ssize_t>(sizeof r);
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (!whole) return {EIO, "a process for the trial"};
    return {r.reason, r.step};
}

bool write_text(const char* path, const char* text) {
    UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
    return fd && ::write(fd.get(), text, std::strlen(text)) == static_cast<ssize_t>(std::strlen(text));
}

void enter_user_namespace(int to) {
    char uids[64], gids[64];
    std::snprintf(uids, sizeof uids, "%u %u 1\n", ::geteuid(), ::geteuid());
    std::snprintf(gids, sizeof gids, "%u %u 1\n", ::getegid(), ::getegid());
    if (::unshare(CLONE_NEWUSER) != 0) end(to, "making a user namespace", errno);
    if (!write_text("/proc/self/setgroups", "deny") || !write_text("/proc/self/uid_map", uids) || !write_text("/proc/self/gid_map", gids))
        end(to, "mapping ids in a user namespace", errno);
}

void enter_mount_namespace(int to) {
    if (::unshare(CLONE_NEWNS) != 0) end(to, "making a mount namespace", errno);
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) end(to, "separating the mounts", errno);
}

}  // namespace

std::string Trial::told() const { return worked() ? std::string() : step + ": " + std::strerror(reason); }

Trial try_user_namespace() {
    return in_child([](int to) { enter_user_namespace(to); });
}

Trial try_mount_namespace() {
    return in_child([](int to) { enter_mount_namespace(to); });
}

Trial try_fuse(bool own_namespace) {
    return in_child([=](int to) {
        if (own_namespace) enter_user_namespace(to);
        const int device = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
        if (device < 0) end(to, "opening /dev/fuse", errno);
        enter_mount_namespace(to);
        char options[128];
        std::snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u", device, ::geteuid(), ::getegid());
        // No server is needed: the kernel sends its greeting later.
        if (::mount("singularity-doctor", "/proc", "fuse", MS_NOSUID | MS_NODEV, options) != 0) end(to, "mounting with FUSE", errno);
        (void)::umount2("/proc", MNT_DETACH);
    });
}

Trial try_overlay(bool own_namespace, const std::vector<std::string>& places) {
    return in_child([&](int to) {
        if (own_namespace) enter_user_namespace(to);
        enter_mount_namespace(to);
        struct stat s;
        for (const auto& place : places) {
            if (::stat(place.c_str(), &s) != 0 || !S_ISDIR(s.st_mode)) continue;
            if (::mount("doctor", place.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0) end(to, "mounting a tmpfs", errno);
            if (::chdir(place.c_str()) != 0) end(to, "entering a tmpfs", errno);
            for (const char* name : {"lower", "upper", "work", "final"})
                if (::mkdir(name, 0755) != 0) end(to, "making a directory in a tmpfs", errno);
            const char* options = own_namespace ? "lowerdir=lower,upperdir=upper,workdir=work,userxattr" : "lowerdir=lower,upperdir=upper,workdir=work";
            if (::mount("overlay", "final", "overlay", MS_NOSUID | MS_NODEV, options) != 0) end(to, "mounting an overlay", errno);
            end(to, nullptr, 0);
        }
        end(to, "finding a directory to mount on", ENOENT);
    });
}

Trial try_loop_device() {
    UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control) return {errno, "opening /dev/loop-control"};
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return {errno, "asking for a loop device"};
    const std::string path = "/dev/loop" + std::to_string(number);
    const UniqueFd device(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!device) return {errno, "opening " + path};
    return {};
}

Place look_at_place(const std::string& path) {
    Place out;
    out.path = path;
    std::string there = path;
    while (there.size() > 1 && ::access(there.c_str(), F_OK) != 0) {
        const size_t slash = there.rfind('/');
        there.erase(slash == 0 || slash == std::string::npos ? 1 : slash);
    }
    // Permissions alone do not tell: root, read-only and special file systems.
    std::string made = (there == "/" ? "" : there) + "/.singularity-doctor-XXXXXX";
    out.writable = ::mkdtemp(made.data()) != nullptr;
    if (out.writable) ::rmdir(made.c_str());
    struct statfs fs;
    if (::statfs(there.c_str(), &fs) != 0) return out;
    out.free_bytes = static_cast<unsigned long long>(fs.f_bavail) * static_cast<unsigned long long>(fs.f_bsize);
    struct Kind {
        unsigned long magic;
        const char* name;
        bool remote;
    };
    // statfs(2); those of parallel file systems from their own sources.
    static constexpr Kind kinds[] = {{0x6969, "NFS", true},         {0x0BD00BD0, "Lustre", true},   {0x47504653, "GPFS", true},  {0x19830326, "BeeGFS", true},
                                     {0x00c36400, "Ceph", true},    {0xFE534D42, "SMB", true},      {0xFF534D42, "CIFS", true},  {0x5346414F, "AFS", true},
                                     {0x65735546, "FUSE", false},   {0x01021994, "tmpfs", false},   {0xEF53, "ext", false},      {0x58465342, "XFS", false},
                                     {0x9123683E, "btrfs", false},  {0x2FC12FC1, "ZFS", false},     {0x794c7630, "overlay", false}};
    for (const auto& k : kinds)
        if (static_cast<unsigned long>(fs.f_type) == k.magic) out.file_system = k.name, out.remote = k.remote;
    return out;
}

std::string line_of(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char text[256];
    const ssize_t n = fd ? ::read(fd.get(), text, sizeof text) : -1;
    if (n <= 0) return {};
    std::string out(text, static_cast<size_t>(n));
    out.erase(std::min(out.find('\n'), out.size()));
    return out;
}

}  // namespace sg
