#include "mount/background.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/error.hpp"

namespace sg {

namespace {

bool readers_own(int fd) {
    const int flags = fcntl(fd, F_GETFD);
    const int mode = fcntl(fd, F_GETFL);
    struct stat st;
    if (flags < 0 || mode < 0 || fstat(fd, &st) != 0) return false;
    if (!(flags & FD_CLOEXEC)) return false;
    if ((mode & O_ACCMODE) != O_RDONLY && !(mode & O_PATH)) return false;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISBLK(st.st_mode)) return false;
    // A namespace is a file too, and held open it would live on, with all of its mounts.
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && fs.f_type != NSFS_MAGIC && fs.f_type != PROC_SUPER_MAGIC;
}

void close_unwanted(std::initializer_list<int> keep) {
    const auto consider = [&](int fd) {
        if (fd > 2 && std::find(keep.begin(), keep.end(), fd) == keep.end() && !readers_own(fd)) close(fd);
    };
    DIR* open_ones = opendir("/proc/self/fd");
    if (!open_ones) {
        for (int fd = 3; fd < 1024; ++fd) consider(fd);
        return;
    }
    while (const dirent* entry = readdir(open_ones)) {
        const int fd = std::atoi(entry->d_name);
        if (fd != dirfd(open_ones)) consider(fd);
    }
    closedir(open_ones);
}

void reset_signals() {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    for (int s = 1; s < NSIG; ++s) sigaction(s, &action, nullptr);
    sigset_t blocked;
    sigfillset(&blocked);
    for (const int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) sigdelset(&blocked, s);
    sigprocmask(SIG_SETMASK, &blocked, nullptr);
}

}  // namespace

int start_in_background(const std::function<void()>& life) noexcept {
    // Blocked from before its birth: a signal to the job must not hit the process before it has settled.
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    // Twice, so that it is no child of the caller, whose place the container's process takes.
    // The first of the two borrows our memory (vfork): it copies no page tables, and nobody waits for its end.
    const pid_t middle = vfork();
    if (middle == 0) {
        const pid_t process = fork();
        if (process == 0) {
            life();
            _exit(0);
        }
        _exit(process < 0 ? errno & 0xff : 0);
    }
    const int error = errno;
    sigprocmask(SIG_SETMASK, &before, nullptr);
    if (middle < 0) return error;
    int status = 0;
    while (waitpid(middle, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

UniqueFd above_standard(UniqueFd fd) {
    if (fd.get() > 2) return fd;
    UniqueFd higher(fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
    if (!higher) throw_errno("cannot move a descriptor", "");
    return higher;
}

void enter_background(std::initializer_list<int> keep) noexcept {
    reset_signals();
    setsid();
    [[maybe_unused]] const int moved = chdir("/");
    close_unwanted(keep);
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2; ++fd) null >= 0 ? dup2(null, fd) : close(fd);
    if (null > 2) close(null);
    prctl(PR_SET_NAME, "singularity-fs");
    prctl(PR_SET_DUMPABLE, 0);
}

}  // namespace sg
