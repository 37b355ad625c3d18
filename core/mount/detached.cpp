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
#include <optional>
#include <string>
#include <vector>

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

[[noreturn]] void mount_error(int error, const char* target) {
    const std::string what = std::string("cannot mount the image on ") + target + ": " + std::strerror(error);
    if (error == EPERM)
        throw Error(Code::permission, what,
                    "mounting by FUSE as a user needs Linux 4.18 and a kernel that allows mounts in user namespaces");
    throw Error(system_error(error, "", "").code(), what);
}

// The places that serve() names, each with a NUL behind it, behind their size.
std::string joined(const char* const* places) {
    std::string out;
    for (; places && *places; ++places) out.append(*places).push_back('\0');
    return out;
}

bool receive_all(int socket, void* out, size_t size) {
    return size == 0 || recv(socket, out, size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

bool send_all(int socket, const void* data, size_t size) {
    for (size_t done = 0; done < size;) {
        const ssize_t n = send(socket, static_cast<const char*>(data) + done, size - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) return false;
        if (n > 0) done += static_cast<size_t>(n);
    }
    return true;
}

// False: whom it was made for has gone.
bool wait_for_places(int leash, std::string& text) {
    uint32_t size;
    if (!receive_all(leash, &size, sizeof size)) return false;
    text.resize(size);
    return receive_all(leash, text.data(), size);
}

// The life of the server's process.
void live(const sg_root_v1* table, sg_root* root, sg_mount_view view, int device, int leash, OneCpu* together) {
    try {
        enter_background({device, leash});
        // Blocks of images come and go: keep their memory instead of mapping it anew each time.
        mallopt(M_ARENA_MAX, 1);  // requests allocate next to nothing, and each arena costs a start its system calls
        mallopt(M_MMAP_THRESHOLD, 64 << 20);
        mallopt(M_TRIM_THRESHOLD, 256 << 20);
        std::optional<View> shown(std::in_place, table, root, view);
        std::string text;
        if (!wait_for_places(leash, text)) return;
        if (!text.empty()) {
            std::vector<const char*> places;
            for (size_t at = 0; at < text.size(); at = text.find('\0', at) + 1) places.push_back(text.data() + at);
            places.push_back(nullptr);
            view.places = places.data();
            shown.emplace(table, root, view);
        }
        Server server(device, *shown);
        // The leash stays open: its end tells who holds the other side that this process has ended.
        if (together) {
            server.serve_until(leash);
            together->release();
        }
        server.serve(leash);
        _exit(0);  // at once: nobody waits for threads, caches and their memory to be taken down in order
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

void DetachedServer::mount(const char* target) {
    char options[192];
    std::snprintf(options, sizeof options,
                  "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other,default_permissions,max_read=%zu",
                  device_.get(), static_cast<unsigned>(geteuid()), static_cast<unsigned>(getegid()),
                  Buffer::payload_size);
    if (::mount("singularity", target, "fuse.singularity", MS_RDONLY | MS_NODEV | MS_NOSUID, options) != 0)
        mount_error(errno, target);
    // Only the server may hold the device now: when it is killed, the kernel must see the last one close.
    device_.reset();
}

UniqueFd DetachedServer::serve(const char* const* places) {
    const std::string text = joined(places);
    const auto size = static_cast<uint32_t>(text.size());
    if (!send_all(leash_.get(), &size, sizeof size) || !send_all(leash_.get(), text.data(), text.size()))
        throw_errno("the file system server ended before its mount", "");
    return std::move(leash_);
}

void DetachedServer::let_go(int leash) noexcept {
    [[maybe_unused]] const ssize_t sent = send(leash, "g", 1, MSG_NOSIGNAL);
}

}  // namespace sg
