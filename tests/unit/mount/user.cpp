#include "user.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace user {

namespace {

constexpr unsigned test_uid = 54321;

void need(bool ok, const std::string& what) {
    if (!ok) throw std::runtime_error(what + ": " + std::strerror(errno));
}

void put(const char* path, const std::string& text) {
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    need(fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()), path);
    close(fd);
}

// As root: a device of that mode, in a mount namespace of our own, and another user.
void become_user(unsigned device_mode) {
    if (geteuid() != 0) return;
    need(unshare(CLONE_NEWNS) == 0, "unshare");
    need(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private mounts");
    char directory[] = "/tmp/mount-test-dev.XXXXXX";
    need(mkdtemp(directory) != nullptr, "mkdtemp");
    need(mount("tmpfs", directory, "tmpfs", 0, "mode=755") == 0, "tmpfs");
    const std::string device = std::string(directory) + "/fuse";
    need(mknod(device.c_str(), S_IFCHR | device_mode, makedev(10, 229)) == 0 && chmod(device.c_str(), device_mode) == 0,
         "mknod");
    need(mount(device.c_str(), "/dev/fuse", nullptr, MS_BIND, nullptr) == 0, "bind the device");
    need(umount2(directory, MNT_DETACH) == 0 && rmdir(directory) == 0, "umount");
    need(setresgid(test_uid, test_uid, test_uid) == 0 && setresuid(test_uid, test_uid, test_uid) == 0, "setresuid");
    need(prctl(PR_SET_DUMPABLE, 1) == 0, "prctl");  // as after an exec: /proc/self is ours
}

}  // namespace

boost::test_tools::assertion_result can_mount(boost::unit_test::test_unit_id) {
    boost::test_tools::assertion_result result(true);
    const auto lacks = [&](const std::string& what) {
        result = boost::test_tools::assertion_result(false);
        result.message() << "skipped: " << what;
        return result;
    };
    struct stat st;
    if (stat("/dev/fuse", &st) != 0) return lacks("no /dev/fuse");
    const int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0) return lacks(std::string("/dev/fuse cannot be opened: ") + std::strerror(errno));
    close(fd);
    const pid_t pid = fork();
    if (pid == 0) _exit(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? 0 : 1);
    int status = 0;
    waitpid(pid, &status, 0);
    if (status != 0) return lacks("no user namespaces here");
    return result;
}

void Scenario::Side::say(char c) const {
    if (write(out, &c, 1) != 1) throw std::runtime_error("the other side is gone");
}

char Scenario::Side::wait() const {
    char c;
    if (read(in, &c, 1) != 1) throw std::runtime_error("the other side ended");
    return c;
}

Scenario::Scenario(const std::function<void(const Side&)>& body, unsigned device_mode) {
    int down[2], up[2];
    if (pipe2(down, O_CLOEXEC) != 0 || pipe2(up, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_ = fork();
    if (pid_ == 0) {
        close(down[1]);
        close(up[0]);
        try {
            become_user(device_mode);
            body({up[1], down[0]});
            _exit(0);
        } catch (const std::exception& e) {
            std::fprintf(stderr, "scenario: %s\n", e.what());
            _exit(1);
        }
    }
    close(down[0]);
    close(up[1]);
    side_ = {down[1], up[0]};
}

Scenario::~Scenario() {
    close(side_.out);
    close(side_.in);
    if (pid_ > 0) end_of();
}

std::vector<int> Scenario::servers() const {
    std::ifstream in("/proc/self/task/" + std::to_string(getpid()) + "/children");
    std::vector<int> out;
    for (int pid; in >> pid;)
        if (pid != pid_) out.push_back(pid);
    return out;
}

int Scenario::end_of(int pid) {
    const bool own = pid < 0 || pid == pid_;
    int status = -1;
    if (waitpid(own ? pid_ : pid, &status, 0) < 0) return -1;
    if (own) pid_ = -1;
    return status;
}

int Scenario::end_of_all() {
    int status, servers = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, 0)) > 0;) {
        if (pid == pid_)
            pid_ = -1;
        else
            servers += WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    return servers;
}

bool comes_true(const std::function<bool()>& what) {
    for (int i = 0; i < 6000; ++i) {
        if (what()) return true;
        usleep(10000);
    }
    return false;
}

std::string states_of(int pid) {
    std::string out;
    std::error_code ignored;
    for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", ignored)) {
        std::ifstream in(task.path() / "stat");
        std::string line;
        std::getline(in, line);
        const size_t end = line.rfind(')');
        if (end != line.npos && end + 2 < line.size()) out += line[end + 2];
    }
    return out;
}

boost::test_tools::assertion_result can_end_connections(boost::unit_test::test_unit_id unit) {
    constexpr auto fusectl = 0x65735543;
    auto result = can_mount(unit);
    struct statfs control;
    utsname kernel;
    int major = 0, minor = 0;
    if (uname(&kernel) == 0) std::sscanf(kernel.release, "%d.%d", &major, &minor);
    if (major > 6 || (major == 6 && minor >= 15)) return result;  // by umount(2)
    if (statfs("/sys/fs/fuse/connections", &control) == 0 && control.f_type == fusectl) return result;
    result = boost::test_tools::assertion_result(false);
    result.message() << "skipped: this kernel ends connections by fusectl alone, which is not mounted";
    return result;
}

void enter_user_namespace() {
    const std::string uid = std::to_string(geteuid()), gid = std::to_string(getegid());
    need(unshare(CLONE_NEWUSER) == 0, "unshare(CLONE_NEWUSER)");
    put("/proc/self/setgroups", "deny");
    put("/proc/self/uid_map", uid + " " + uid + " 1");
    put("/proc/self/gid_map", gid + " " + gid + " 1");
}

std::string mounts() {
    std::ifstream in("/proc/self/mountinfo");
    std::string out;
    for (std::string line; std::getline(in, line);)
        if (line.find("fuse.singularity") != std::string::npos) out += line + "\n";
    return out;
}

}  // namespace user
