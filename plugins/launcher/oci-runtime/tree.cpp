#include "tree.hpp"

#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "family/namespaces.hpp"
#include "family/resolve.hpp"
#include "family/system.hpp"

namespace oci_runtime {
namespace {

using launcher::fail;
using launcher::Fd;
using launcher::Spec;
using singularity::Code;
using singularity::Error;

const singularity::Host host;

bool is_below(const std::string& path, const std::string& top) {
    return path.size() > top.size() && path.compare(0, top.size(), top) == 0 && path[top.size()] == '/';
}

// Would the kernel allow an ordinary user a new file system of this type in new namespaces? (Not where parts of the
// host's are hidden.)
bool kernel_allows(const char* type, int namespaces) {
    const pid_t middle = ::fork();
    if (middle == 0) {
        if (::unshare(namespaces | CLONE_NEWNS) != 0 ||
            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
            ::_exit(1);
        const pid_t inner = ::fork();
        if (inner == 0) ::_exit(::mount(type, "/", type, MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0 ? 0 : 1);
        int status = -1;
        while (inner > 0 && ::waitpid(inner, &status, 0) < 0 && errno == EINTR) {
        }
        ::_exit(status == 0 ? 0 : 1);
    }
    int status = -1;
    while (middle > 0 && ::waitpid(middle, &status, 0) < 0 && errno == EINTR) {
    }
    return status == 0;
}

// Mount points of this namespace below a directory, outer ones first.
std::vector<std::string> mounted_below(const std::string& directory) {
    std::vector<std::string> out;
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream words(line);
        std::string id, parent, device, inside, point;
        words >> id >> parent >> device >> inside >> point;
        // Names with blanks are written in octal ("\\040"); /dev has none that matter here.
        if (is_below(point, directory) && point.find('\\') == std::string::npos &&
            std::find(out.begin(), out.end(), point) == out.end())
            out.push_back(point);
    }
    return out;
}

std::vector<std::string> options_of(const launcher::Mount& m) {
    std::vector<std::string> out;
    if (m.type == "bind") out.push_back(m.recursive ? "rbind" : "bind");
    if (m.no_suid || m.type != "bind") out.push_back("nosuid");
    if (m.no_dev || m.type != "bind") out.push_back("nodev");
    if (m.no_exec || m.type != "bind") out.push_back("noexec");
    if (m.read_only) out.push_back("ro");
    return out;
}

}  // namespace

void add_volumes(Spec& spec, const std::vector<std::string>& volumes) {
    const auto is_users = [](const launcher::Mount& m) {
        return m.tag == "scratch" || m.tag == "files" || m.tag == "userbinds" || m.tag == "cwd";
    };
    auto place = std::find_if(spec.mounts.begin(), spec.mounts.end(), is_users);
    for (const auto& volume : volumes) {
        const bool covered = std::any_of(spec.mounts.begin(), spec.mounts.end(), [&](const launcher::Mount& m) {
            return m.type != "volume" && (m.destination == volume || is_below(volume, m.destination));
        });
        if (covered) continue;
        launcher::Mount m;
        m.destination = volume;
        m.type = "volume";
        m.tag = "volumes";
        place = spec.mounts.insert(place, m) + 1;
    }
}

Mounts divide(const Spec& spec) {
    Mounts out;
    const auto allowed = [&](const char* type, int kind) {
        return !spec.user || kernel_allows(type, kind | CLONE_NEWUSER);
    };
    for (const launcher::Mount& m : spec.mounts) {
        const bool below = std::any_of(out.later.begin(), out.later.end(), [&](const launcher::Mount& l) {
            return m.destination == l.destination || is_below(m.destination, l.destination);
        });
        const bool wanted =
            (m.type == "proc" && spec.pid) || (m.type == "sysfs" && launcher::wants_new_network(spec));
        if (wanted && !below && allowed(m.type.c_str(), m.type == "proc" ? CLONE_NEWPID : CLONE_NEWNET)) {
            out.later.push_back(m);
        } else if (below && m.type == "bind") {
            out.later.push_back(m);
            continue;
        } else if (below) {
            throw Error(Code::unsupported, "the launcher oci-runtime cannot mount '" + m.type + "' on " +
                                               m.destination + ", which lies in a new /proc or /sys");
        } else {
            out.message_queues = out.message_queues || (m.type == "dev" && spec.ipc);
            out.tree.push_back(m);
            continue;
        }
        launcher::Mount place = m;
        place.only_place = true;
        out.tree.push_back(place);
    }
    if (std::none_of(out.tree.begin(), out.tree.end(),
                     [](const launcher::Mount& m) { return m.destination == "/dev"; })) {
        launcher::Mount m;  // runtimes need a /dev/null, and make devices of their own unless they are given a /dev
        m.destination = "/dev";
        m.type = "dev";
        m.tag = "dev";
        m.terminals = false;
        out.tree.insert(out.tree.begin(), m);
    }
    return out;
}

std::string resolved(int root, const std::string& root_path, const std::string& path) {
    const Fd fd = launcher::open_inside(root, path);
    char text[4096];
    const ssize_t n = fd ? ::readlink(launcher::fd_path(fd.get()).c_str(), text, sizeof text) : -1;
    if (n <= 0) return {};
    const std::string found(text, static_cast<size_t>(n));
    if (found == root_path) return "/";
    return is_below(found, root_path) ? found.substr(root_path.size()) : std::string();
}

std::string directory_or_top(int root, const std::string& path) {
    const Fd fd = launcher::open_inside(root, path);
    struct stat s;
    return fd && ::fstat(fd.get(), &s) == 0 && S_ISDIR(s.st_mode) ? path : "/";
}

std::string file_of_tree(int root, const char* path) {
    const Fd fd = launcher::open_inside(root, path);
    struct stat s;
    if (!fd || ::fstat(fd.get(), &s) != 0 || !S_ISREG(s.st_mode)) return {};
    return launcher::read_file(AT_FDCWD, launcher::fd_path(fd.get()), 16u << 20);
}

// crun refuses machines that have control groups of both versions. It needs none here that we do not make of version 1.
void hide_second_version(const std::string& session) {
    struct statfs both;
    if (::statfs("/sys/fs/cgroup/unified", &both) != 0 ||
        both.f_type != static_cast<decltype(both.f_type)>(CGROUP2_SUPER_MAGIC))
        return;
    const std::string empty = session + "/no-groups";
    if (::mkdir(empty.c_str(), 0755) != 0 ||
        ::mount(empty.c_str(), "/sys/fs/cgroup/unified", nullptr, MS_BIND, nullptr) != 0)
        host.debug(launcher::system_error(errno, "cannot hide", "/sys/fs/cgroup/unified").message());
}

// runc opens it before it covers it with the container's terminal; the machine's own is root's alone.
void show_console(const std::string& session, const std::string& root_path, const std::string& dev) {
    const std::string console = root_path + dev + "/console", file = session + "/console";
    if (::access(console.c_str(), F_OK) != 0) return;
    launcher::write_file(AT_FDCWD, file, "", 0666);
    if (::mount(file.c_str(), console.c_str(), nullptr, MS_BIND, nullptr) != 0)
        host.debug(launcher::system_error(errno, "cannot cover", console).message());
}

std::vector<RuntimeMount> runtime_mounts(const Mounts& mounts, int root, const std::string& root_path,
                                         const std::string& dev, bool nested) {
    std::vector<RuntimeMount> out = {{dev, "bind", root_path + dev, {"rbind"}}};
    // crun 1.8 binds into a user namespace without what is mounted below, where the kernel lets it.
    if (nested)
        for (const auto& place : mounted_below(root_path + dev))
            out.push_back({place.substr(root_path.size()), "bind", place, {"bind"}});
    if (mounts.message_queues) out.push_back({dev + "/mqueue", "mqueue", "mqueue", {"nosuid", "nodev", "noexec"}});
    for (const launcher::Mount& m : mounts.later) {
        std::string place = resolved(root, root_path, m.destination);
        // Below a /proc that is not there yet nothing can be resolved.
        if (place.empty() && m.type == "bind") place = m.destination;
        if (!place.empty())
            out.push_back({place, m.type, m.type == "bind" ? m.source : m.type, options_of(m)});
        else if (m.missing == launcher::Missing::fail)
            throw Error(Code::not_found,
                        "while mounting " + m.type + ": destination " + m.destination + " doesn't exist in container");
    }
    return out;
}

}  // namespace oci_runtime
