#include "packages/places.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "packages/tool.hpp"

namespace packages {

Places::Places(const std::string& rootfs, bool with_proc) {
    (void)::mkdir((rootfs + "/dev").c_str(), 0755);  // both stay: every image has them
    device(rootfs + "/dev/null", 3);
    device(rootfs + "/dev/zero", 5);
    device(rootfs + "/dev/full", 7);
    device(rootfs + "/dev/random", 8);
    device(rootfs + "/dev/urandom", 9);
    if (!with_proc) return;
    const std::string proc = rootfs + "/proc";
    (void)::mkdir(proc.c_str(), 0755);
    // That of the build's PID namespace; where it may not be had, the one that is there.
    if (::mount("proc", proc.c_str(), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0 || ::mount("/proc", proc.c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0)
        mounts_.push_back(proc);
}

Places::~Places() {
    for (auto it = mounts_.rbegin(); it != mounts_.rend(); ++it) ::umount2(it->c_str(), MNT_DETACH);
    for (const auto& f : files_) ::unlink(f.c_str());
}

void Places::device(const std::string& path, unsigned minor) {
    // In a user namespace nobody makes a node that works, though one may be recorded for the image.
    if (!in_user_namespace() && ::mknod(path.c_str(), S_IFCHR | 0666, makedev(1, minor)) == 0) {
        ::chmod(path.c_str(), 0666);
        files_.push_back(path);
        return;
    }
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return;
    ::close(fd);
    files_.push_back(path);
    const std::string source = "/dev" + path.substr(path.rfind('/'));
    if (::mount(source.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) == 0) mounts_.push_back(path);
}

}  // namespace packages
