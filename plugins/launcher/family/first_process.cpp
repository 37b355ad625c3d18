#include "family/first_process.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace launcher {
namespace {

sigset_t forwarded() {
    sigset_t set;
    ::sigfillset(&set);
    // What the process does to itself must still end it.
    for (const int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGTTIN, SIGTTOU}) ::sigdelset(&set, s);
    return set;
}

}  // namespace

Waiter::Waiter() {
    const sigset_t set = forwarded();
    ::sigprocmask(SIG_BLOCK, &set, &before_);
}

Waiter::~Waiter() { restore_in_child(); }

void Waiter::restore_in_child() const { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

int Waiter::wait(pid_t child) const {
    const sigset_t set = forwarded();
    for (;;) {
        int status = 0;
        const pid_t done = ::waitpid(child, &status, WNOHANG);
        if (done == child) return status;
        if (done < 0 && errno != EINTR) return 255 << 8;
        siginfo_t info;
        const int signal = ::sigwaitinfo(&set, &info);
        if (signal <= 0 || signal == SIGCHLD || signal == SIGURG) continue;
        // The terminal's own signals (si_code SI_KERNEL) reach the whole foreground group, so the payload has
        // them already.
        const bool from_terminal = info.si_code == SI_KERNEL;
        if (signal == SIGTSTP && from_terminal) {
            ::raise(SIGSTOP);
            continue;
        }
        if (!from_terminal) ::kill(child, signal);
    }
}

void be_first_process(int report, const std::function<void()>& payload) {
    ::prctl(PR_SET_NAME, first_process_name, 0, 0, 0);
    sigset_t set = forwarded(), before;
    ::sigprocmask(SIG_BLOCK, &set, &before);
    const pid_t child = ::fork();
    if (child < 0) ::_exit(255);
    if (child == 0) {
        ::sigprocmask(SIG_SETMASK, &before, nullptr);
        payload();
        ::_exit(255);
    }
    for (;;) {
        int status = 0;
        pid_t done;
        while ((done = ::waitpid(-1, &status, WNOHANG)) > 0) {
            if (done != child) continue;
            // Everything else in the namespace ends with this process.
            (void)!::write(report, &status, sizeof status);
            ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        }
        siginfo_t info;
        const int signal = ::sigwaitinfo(&set, &info);
        if (signal <= 0 || signal == SIGCHLD || signal == SIGURG) continue;
        if (info.si_code == SI_KERNEL) continue;
        ::kill(child, signal);
    }
}

}  // namespace launcher
