#include "family/service.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "family/first_process.hpp"

namespace launcher {
namespace {

bool ends_programs(int signal) { return signal == SIGINT || signal == SIGTERM || signal == SIGQUIT; }

sigset_t passed_on() {
    sigset_t set;
    ::sigfillset(&set);
    for (const int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) ::sigdelset(&set, s);
    return set;
}

// What `ps` shows. The kernel reads the command line from the process' own memory, and goes on into the
// environment behind it when the last byte of the arguments is no NUL (proc(5), "cmdline").
void set_title(const std::string& title) {
    std::string text;
    try {
        text = read_file(AT_FDCWD, "/proc/self/stat", 8192);
    } catch (const Error&) {
        return;
    }
    std::vector<unsigned long long> fields;  // from the fourth on, behind the state
    const size_t end = text.rfind(')');
    if (end == std::string::npos || end + 4 > text.size()) return;
    char* at = text.data() + end + 4;
    for (char* stop = at;; at = stop) {
        const unsigned long long number = std::strtoull(at, &stop, 10);
        if (stop == at) break;
        fields.push_back(number);
    }
    constexpr size_t arg_start = 48 - 4, arg_end = 49 - 4, env_end = 51 - 4;
    if (fields.size() <= env_end || fields[arg_start] == 0 || fields[arg_end] <= fields[arg_start]) return;
    auto* to = reinterpret_cast<char*>(static_cast<uintptr_t>(fields[arg_start]));
    const size_t room = (fields[env_end] > fields[arg_end] ? fields[env_end] : fields[arg_end]) - fields[arg_start];
    std::memset(to, 0, room);
    std::memcpy(to, title.data(), std::min(title.size(), room - 1));
}

// The processes that this one has to wait for.
std::vector<pid_t> children() {
    std::vector<pid_t> out;
    std::string text;
    try {
        const std::string self = std::to_string(::getpid());
        text = read_file(AT_FDCWD, "/proc/" + self + "/task/" + self + "/children", 1u << 20);
    } catch (const Error&) {
        return out;
    }
    char* at = text.data();
    for (char* stop = at;; at = stop) {
        const long pid = std::strtol(at, &stop, 10);
        if (stop == at) return out;
        out.push_back(static_cast<pid_t>(pid));
    }
}

class Loop {
public:
    Loop(const Service& service, pid_t child) : service_(service), child_(child) {}

    [[noreturn]] void run(const sigset_t& set) {
        for (;;) {
            reap();
            siginfo_t info;
            const int signal = ::sigwaitinfo(&set, &info);
            if (signal <= 0 || signal == SIGCHLD || signal == SIGURG) continue;
            if (ends_programs(signal) || signal == service_.stop_signal) stopping_ = signal;
            if (child_ > 0) {
                // Its group, as a script's commands are to hear of it too.
                if (::kill(-child_, signal) != 0) ::kill(child_, signal);
            } else if (stopping_) {
                end_the_rest();
            }
        }
    }

private:
    void reap() {
        int status = 0;
        pid_t done;
        while ((done = ::waitpid(-1, &status, WNOHANG)) > 0) {
            if (done != child_) continue;
            child_ = 0;
            // What a script has started in the background goes on after it.
            const bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
            if (!stopping_ && well) continue;
            end_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            if (!stopping_) leave();
            end_the_rest();
        }
        if (done < 0 && errno == ECHILD && stopping_ && child_ == 0) leave();
    }

    // Shells start what is in the background with SIGINT ignored: SIGTERM as well.
    void end_the_rest() {
        const auto tell = [&](int signal) {
            if (service_.own_processes) {
                ::kill(-1, signal);
                return;
            }
            for (const pid_t pid : children()) ::kill(pid, signal);
        };
        tell(stopping_);
        if (stopping_ == SIGINT) tell(SIGTERM);
    }

    [[noreturn]] void leave() {
        // The end of a PID namespace's first process is everybody's; without one they are asked.
        if (!service_.own_processes)
            for (const pid_t pid : children()) ::kill(pid, SIGKILL);
        ::_exit(end_ >= 0 ? end_ : 128 + stopping_);
    }

    const Service& service_;
    pid_t child_;  // 0: it has ended
    int stopping_ = 0;  // the signal that asked for the end
    int end_ = -1;      // status to end with
};

}  // namespace

void leave_terminal() {
    ::setsid();
    // A caller's ignored signals (nohup, a background job) are not the service's.
    struct sigaction usual {};
    usual.sa_handler = SIG_DFL;
    for (int s = 1; s < NSIG; ++s) (void)::sigaction(s, &usual, nullptr);
}

void be_service(Service& service, int errors, const std::function<void()>& payload) {
    ::prctl(PR_SET_NAME, first_process_name, 0, 0, 0);
    if (!service.own_processes) ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    const sigset_t set = passed_on();
    sigset_t before;
    ::sigprocmask(SIG_BLOCK, &set, &before);
    for (int fd = 0; fd < 3; ++fd) {
        const int from = (fd == 0 ? service.in : fd == 1 ? service.out : service.err).get();
        if (::dup2(from, fd) < 0) fail("cannot set the standard streams of the instance");
    }
    const pid_t child = ::fork();
    if (child < 0) fail("cannot start a process in the instance");
    if (child == 0) {
        ::setsid();
        ::sigprocmask(SIG_SETMASK, &before, nullptr);
        payload();
        ::_exit(255);
    }
    ::close(errors);
    // Nothing of the start is kept open: images, namespaces, the locks of the caller.
    if (::syscall(SYS_close_range, 3u, ~0u, 0u) != 0)
        for (int fd = 3; fd < 1024; ++fd) ::close(fd);
    set_title(service.title);
    Loop(service, child).run(set);
}

}  // namespace launcher
