#include "build/script_devices.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <future>
#include <memory>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"

namespace sg {

namespace {

constexpr const char* host_devices = "/dev";
constexpr int deepest = 16;

bool is_terminals(const std::string& path) {
    struct statfs fs {};
    return statfs(path.c_str(), &fs) == 0 && fs.f_type == DEVPTS_SUPER_MAGIC;
}

bool bind_mount(const std::string& from, const std::string& to) {
    return mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0;
}

// Where nodes may not be made (root of a container that is not the machine's) the visible one is bound.
bool copy_node(const std::string& from, const std::string& to, const struct stat& st) {
    if (mknod(to.c_str(), st.st_mode, st.st_rdev) == 0)
        return lchown(to.c_str(), st.st_uid, st.st_gid) == 0 && chmod(to.c_str(), st.st_mode & 07777) == 0;
    const UniqueFd file(open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    return file && bind_mount(from, to);
}

bool copy_link(const std::string& from, const std::string& to) {
    char target[PATH_MAX];
    const ssize_t n = readlink(from.c_str(), target, sizeof target - 1);
    if (n < 0) return false;
    target[n] = '\0';
    return symlink(target, to.c_str()) == 0;
}

bool copy_directory(const std::string& to, const struct stat& st) {
    return mkdir(to.c_str(), 0755) == 0 && lchown(to.c_str(), st.st_uid, st.st_gid) == 0 &&
           chmod(to.c_str(), st.st_mode & 07777) == 0;
}

// What is mounted below, and what everybody may write in, is an empty directory there. Devices come and go while this
// looks; one that cannot be copied is missing.
void copy_devices(const std::string& from, const std::string& to, dev_t system, int depth) {
    struct Close {
        void operator()(DIR* d) const { closedir(d); }
    };
    const std::unique_ptr<DIR, Close> list(opendir(from.c_str()));
    if (!list) return;
    while (const dirent* e = readdir(list.get())) {
        const std::string name = e->d_name, source = from + "/" + name, target = to + "/" + name;
        struct stat st {};
        if (name == "." || name == ".." || lstat(source.c_str(), &st) != 0) continue;
        bool done = true;
        if (S_ISLNK(st.st_mode)) {
            done = copy_link(source, target);
        } else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
            done = copy_node(source, target, st);
        } else if (S_ISDIR(st.st_mode)) {
            done = copy_directory(target, st);
            if (done && is_terminals(source))
                done = bind_mount(source, target);
            else if (done && st.st_dev == system && !(st.st_mode & S_IWOTH) && depth < deepest)
                copy_devices(source, target, system, depth + 1);
        }
        if (!done) log::debug(source + " is missing in the /dev of scripts: " + std::strerror(errno));
    }
}

}  // namespace

bool mount_script_devices(const std::string& place) {
    struct stat st {};
    if (stat(host_devices, &st) != 0) return false;
    if (faccessat(AT_FDCWD, host_devices, W_OK, AT_EACCESS) == 0) {
        if (mount("tmpfs", place.c_str(), "tmpfs", MS_NOSUID, "mode=0755") != 0)
            throw_errno("cannot mount the /dev of scripts on", place);
        copy_devices(host_devices, place, st.st_dev, 0);
        return true;
    }
    if (!bind_mount(host_devices, place)) throw_errno("cannot mount the host's /dev on", place);
    const std::string memory = place + "/shm";
    if (lstat(memory.c_str(), &st) == 0 && S_ISDIR(st.st_mode) &&
        mount("tmpfs", memory.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") != 0)
        log::debug(std::string("scripts share /dev/shm with others: ") + std::strerror(errno));
    return true;
}

void with_script_devices(const std::string& place, const std::function<void()>& work) {
    // Mount namespaces are a matter of threads: what this one starts is in the new one, and the rest of the process is
    // not.
    std::async(std::launch::async, [&] {
        if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
            throw_errno("cannot create a mount namespace", "");
        (void)mount_script_devices(place);
        work();
    }).get();
}

}  // namespace sg
