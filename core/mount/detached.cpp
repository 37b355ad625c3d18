#include "mount/detached.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/error.hpp"
#include "mount/background.hpp"
#include "mount/buffer.hpp"
#include "mount/server.hpp"

namespace sg {

namespace {

constexpr const char* device_path = "/dev/fuse";

[[noreturn]] void device_error(int error) {
    const std::string path = device_path;
    struct stat st;
    if (error == ENOENT || error == ENODEV || error == ENXIO)
        throw Error(Code::not_found, "cannot open " + path + ": " + std::strerror(error),
                    "the kernel module \"fuse\" is not loaded: the administrator can run \"modprobe fuse\"");
    if ((error == EACCES || error == EPERM) && ::stat(device_path, &st) == 0) {
        char mode[32];  // no owner: in a user namespace everybody else is "nobody"
        std::snprintf(mode, sizeof mode, " (mode %04o)", static_cast<unsigned>(st.st_mode & 07777));
        if ((st.st_mode & 0666) == 0666)
            throw Error(Code::permission, "cannot open " + path + mode + ": " + std::strerror(error),
                        "its mode allows it, so the device rules of a control group (batch job, container) or a "
                        "security module forbid it: ask the administrator");
        throw Error(Code::permission, "cannot open " + path + mode + ": " + std::strerror(error),
                    "the administrator can run \"chmod 0666 /dev/fuse\", or make it last with a udev rule: "
                    "KERNEL==\"fuse\", MODE=\"0666\"");
    }
    throw system_error(error, "cannot open", path);
}

// The same open file under a number that /dev/null will not take in the server (a caller may have been
// started with its standard descriptors closed).
UniqueFd above_standard(UniqueFd fd) {
    if (fd.get() > 2) return fd;
    UniqueFd higher(fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
    if (!higher) throw_errno("cannot move a descriptor of", device_path);
    return higher;
}

[[noreturn]] void mount_error(int error, const char* target) {
    const std::string what = std::string("cannot mount the image on ") + target + ": " + std::strerror(error);
    if (error == EPERM)
        throw Error(Code::permission, what,
                    "mounting by FUSE as a user needs Linux 4.18 and a kernel that allows mounts in user namespaces");
    throw Error(system_error(error, "", "").code(), what);
}

// The life of the server's process.
void live(const sg_root_v1* table, sg_root* root, const sg_mount_view& view, int device, int leash, OneCpu* together) {
    try {
        enter_background({device, leash});
        // Blocks of images come and go: keep their memory instead of mapping it anew each time.
        mallopt(M_ARENA_MAX, 1);  // requests allocate next to nothing, and each arena costs a start its system calls
        mallopt(M_MMAP_THRESHOLD, 64 << 20);
        mallopt(M_TRIM_THRESHOLD, 256 << 20);
        const View shown(table, root, view);
        Server server(device, shown);
        char go;
        ssize_t n;
        do n = read(leash, &go, 1);
        while (n < 0 && errno == EINTR);
        if (n == 1) {
            // The leash stays open: its end tells who holds the other side that this process has ended.
            if (together) {
                server.serve_until(leash);
                together->release();
            }
            server.serve(leash);
            _exit(0);  // at once: nobody waits for threads, caches and their memory to be taken down in order
        }
    } catch (...) {
        // Nobody listens any more; the mount answers ENOTCONN.
    }
}

}  // namespace

std::unique_ptr<DetachedServer> DetachedServer::prepare(const sg_root_v1* table, sg_root* root,
                                                        const sg_mount_view& view, OneCpu* together) {
    UniqueFd device(open(device_path, O_RDWR | O_CLOEXEC));
    if (!device) device_error(errno);
    device = above_standard(std::move(device));
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) throw_errno("cannot make a socket pair", "");
    const UniqueFd theirs = above_standard(UniqueFd(pair[1]));
    UniqueFd ours(pair[0]);

    if (const int error = start_in_background([&] { live(table, root, view, device.get(), theirs.get(), together); }))
        throw system_error(error, "cannot start the file system server", "");
    return std::unique_ptr<DetachedServer>(new DetachedServer(std::move(device), std::move(ours)));
}

UniqueFd DetachedServer::attach(const char* target) {
    char options[192];
    std::snprintf(options, sizeof options,
                  "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other,default_permissions,max_read=%zu",
                  device_.get(), static_cast<unsigned>(geteuid()), static_cast<unsigned>(getegid()),
                  Buffer::payload_size);
    if (mount("singularity", target, "fuse.singularity", MS_RDONLY | MS_NODEV | MS_NOSUID, options) != 0)
        mount_error(errno, target);
    const ssize_t sent = send(leash_.get(), "m", 1, MSG_NOSIGNAL);
    const int error = errno;
    // Only the server may hold the device now: when it is killed, the kernel must see the last one close.
    device_.reset();
    if (sent != 1) {
        umount2(target, MNT_DETACH);
        throw system_error(error, "the file system server ended before the mount on", target);
    }
    return std::move(leash_);
}

void DetachedServer::let_go(int leash) noexcept { [[maybe_unused]] const ssize_t sent = send(leash, "g", 1, MSG_NOSIGNAL); }

}  // namespace sg
