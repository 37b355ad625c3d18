#include "family/device_tree.hpp"

#include <sys/mount.h>

#include "family/mounts.hpp"
#include "family/system.hpp"

namespace launcher {
namespace {

const singularity::Host host;

// The terminal that one of the standard descriptors is open on.
std::string terminal() {
    for (int fd = 0; fd < 3; ++fd) {
        if (::isatty(fd) != 1) continue;
        char name[4096];
        const ssize_t n = ::readlink(fd_path(fd).c_str(), name, sizeof name);
        if (n > 0) return std::string(name, static_cast<size_t>(n));
    }
    return {};
}

// A device of the host at the same name below `root`; directories are bound whole.
bool show(const std::string& root, const std::string& source, const std::string& name) {
    struct stat s;
    if (::stat(source.c_str(), &s) != 0) return false;
    const std::string target = root + "/" + name;
    for (size_t slash = root.size() + 1; (slash = target.find('/', slash)) != std::string::npos; ++slash)
        (void)::mkdir(target.substr(0, slash).c_str(), 0755);
    if (S_ISDIR(s.st_mode)) {
        (void)::mkdir(target.c_str(), 0755);
    } else {
        Fd made(::open(target.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
        if (!made) return false;
    }
    Fd at(::open(target.c_str(), O_PATH | O_CLOEXEC));
    Flags flags;
    flags.no_suid = true;
    flags.recursive = S_ISDIR(s.st_mode);
    std::string warning;
    return at && bind(source, at.get(), flags, warning);
}

void mount_inside(const std::string& path, const char* type, unsigned long flags, const std::string& data, mode_t mode) {
    (void)::mkdir(path.c_str(), mode);
    if (::mount(type, path.c_str(), type, flags, data.c_str()) != 0)
        host.debug(system_error(errno, std::string("cannot mount ") + type + " on", path).message());
}

}  // namespace

void make_device_tree(const std::string& path, const std::vector<std::string>& extra, bool terminals, const Spec& spec) {
    mount_inside(path + "/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777", 01777);
    if (spec.ipc) mount_inside(path + "/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, "", 01777);
    if (terminals) {
        // Group tty cannot be named in a user namespace that maps one group.
        mount_inside(path + "/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                     std::string("mode=0620,newinstance,ptmxmode=0666") + (spec.user ? "" : ",gid=5"), 0755);
        (void)!::symlink("pts/ptmx", (path + "/ptmx").c_str());
    }
    for (const char* name : {"tty", "null", "zero", "full", "random", "urandom"})
        if (!show(path, std::string("/dev/") + name, name)) host.debug(std::string("/dev/") + name + " is not there");
    (void)!::symlink("/proc/self/fd", (path + "/fd").c_str());
    (void)!::symlink("/proc/self/fd/0", (path + "/stdin").c_str());
    (void)!::symlink("/proc/self/fd/1", (path + "/stdout").c_str());
    (void)!::symlink("/proc/self/fd/2", (path + "/stderr").c_str());
    const std::string console = terminal();
    if (!console.empty()) show(path, console, "console");
    for (const auto& device : extra)
        if (device.compare(0, 5, "/dev/") != 0 || !show(path, device, device.substr(5)))
            throw Error(Code::not_found, "cannot show the device " + device + " in the container");
}

}  // namespace launcher
