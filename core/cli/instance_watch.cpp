#include "cli/instance_watch.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"

namespace sg {

namespace {

struct Started {
    int32_t code, pid;
    sg_error error;
};

// Nothing of the caller stays open: others wait for the end of its output.
void leave_caller(const std::string& messages) {
    ::signal(SIGHUP, SIG_IGN);
    if (::chdir("/") != 0) return;
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const UniqueFd log(
        messages.empty() ? -1 : ::open(messages.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644));
    for (const int fd : {0, 1, 2}) ::dup2(fd == 2 && log ? log.get() : null.get(), fd);
}

// The instance's processes come to us when their parents end, as we take orphans in.
int status_of(pid_t instance) {
    for (;;) {
        int status = 0;
        const pid_t ended = ::waitpid(-1, &status, 0);
        if (ended < 0 && errno == EINTR) continue;
        if (ended < 0) return -1;
        if (ended == instance) return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
}

[[noreturn]] void start_and_wait(int out, const std::function<int()>& start, const std::function<void(int)>& ended,
                                 const std::string& messages) {
    static Started started{};
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    ::setsid();
    started.code = singularity::guard(&started.error, [&] { started.pid = start(); });
    const bool told = ::write(out, &started, sizeof started) == static_cast<ssize_t>(sizeof started);
    ::close(out);
    if (started.code != SG_OK || !told) ::_exit(255);
    leave_caller(messages);
    const int status = status_of(started.pid);
    try {
        if (status >= 0) ended(status);
    } catch (const std::exception& e) {
        log::warning(e.what());
    }
    ::_exit(0);
}

}  // namespace

int watch_instance(const std::function<int()>& start, const std::function<void(int status)>& ended,
                   const std::string& messages) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("cannot make a pipe", "");
    UniqueFd reading(ends[0]), writing(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0) throw_errno("cannot start a process", "");
    if (pid == 0) {
        reading.reset();
        start_and_wait(writing.release(), start, ended, messages);
    }
    writing.reset();
    Started started{};
    size_t done = 0;
    while (done < sizeof started) {
        const ssize_t n = ::read(reading.get(), reinterpret_cast<char*>(&started) + done, sizeof started - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        done += static_cast<size_t>(n);
    }
    if (done < sizeof started || started.code != SG_OK)
        while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
    if (done < sizeof started) throw Error(Code::internal, "the process that starts the instance ended unexpectedly");
    if (started.code != SG_OK)
        throw Error(static_cast<Code>(started.code), started.error.message, started.error.hint, started.error.detail);
    return started.pid;
}

}  // namespace sg
