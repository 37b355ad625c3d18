#include "caller.hpp"

#include <poll.h>
#include <sched.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <memory>

#include "terminal.hpp"

namespace oci_runtime {
namespace {

using launcher::Fd;
using singularity::Code;
using singularity::Error;

const singularity::Host host;

sigset_t passed_on() {
    sigset_t set;
    ::sigfillset(&set);
    // What the process does to itself must still end it.
    for (const int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGTTIN, SIGTTOU})
        ::sigdelset(&set, s);
    return set;
}

}  // namespace

SignalsPassedOn::SignalsPassedOn() {
    const sigset_t set = passed_on();
    ::sigprocmask(SIG_BLOCK, &set, &before_);
    fd_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd_) launcher::fail("cannot wait for signals");
}

SignalsPassedOn::~SignalsPassedOn() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

void Caller::heard(Message message) {
    switch (message.what) {
        case Say::ready:
            if (message.descriptors.size() == 2)
                user_namespace_ = std::move(message.descriptors[0]),
                mount_namespace_ = std::move(message.descriptors[1]);
            session_ = message.text;
            return;
        case Say::console:
            if (!message.descriptors.empty()) console_ = std::move(message.descriptors[0]);
            return;
        case Say::started: first_ = message.value, text_ = message.text; return;
        case Say::ended: ended_ = message.value; return;
        case Say::signal: return;
    }
}

int Caller::monitor_status() {
    int status = 255 << 8;
    while (::waitpid(monitor_, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

// The monitor was killed. The container's first process ends with it; a control group is left, and before its start the
// container.
void Caller::clean_up(const Plan& plan) {
    if (!mount_namespace_) return;
    const pid_t child = ::fork();
    if (child == 0) {
        if (plan.spec.user && ::setns(user_namespace_.get(), CLONE_NEWUSER) != 0) ::_exit(1);
        if (::setns(mount_namespace_.get(), CLONE_NEWNS) != 0) ::_exit(1);
        RuntimeCommands(plan.runtime, session_, plan.id, plan.limits).kill_and_remove();
        ::_exit(0);
    }
    while (child > 0 && ::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
}

int Caller::wait(const Plan& plan, const SignalsPassedOn& signals) {
    std::unique_ptr<Relay> relay;
    bool open = true;
    while (open) {
        pollfd all[4] = {{channel_.fd(), POLLIN, 0},
                         {signals.fd(), POLLIN, 0},
                         {relay ? relay->input() : -1, POLLIN, 0},
                         {relay ? relay->output() : -1, POLLIN, 0}};
        if (::poll(all, 4, -1) < 0 && errno != EINTR) launcher::fail("cannot wait for the container");
        if (all[3].revents) relay->written();
        if (all[2].revents) relay->typed();
        signalfd_siginfo info;
        while (::read(signals.fd(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
            const int number = static_cast<int>(info.ssi_signo);
            if (number == SIGCHLD || number == SIGURG) continue;
            if (number == SIGWINCH && relay) {
                relay->resized();
                continue;
            }
            // The job stops as a whole, and goes on as one. A session of its own, as the container's, ignores SIGTSTP.
            (void)channel_.send(Say::signal, number == SIGTSTP ? SIGSTOP : number);
            if (number == SIGTSTP) ::raise(SIGSTOP);
        }
        if (!all[0].revents) continue;
        if (auto message = channel_.receive()) {
            heard(std::move(*message));
            if (console_) relay = std::make_unique<Relay>(std::move(console_));
        } else {
            open = false;
        }
    }
    if (relay) relay->drain();
    relay.reset();
    const int status = monitor_status();
    if (!ended_ && WIFSIGNALED(status)) clean_up(plan);
    int exact = 0;
    if (launcher::receive(reports_.get(), &exact, sizeof exact)) ended_ = exact;
    launcher::receive_error(errors_.get());
    if (ended_) return *ended_;
    if (WIFSIGNALED(status))
        throw Error(Code::internal,
                    "the monitor of the container was ended by signal " + std::to_string(WTERMSIG(status)));
    return status;
}

std::pair<pid_t, std::string> Caller::started(const Plan& plan) {
    while (first_ == 0) {
        auto message = channel_.receive();
        if (!message) break;
        heard(std::move(*message));
    }
    if (first_ == 0 && WIFSIGNALED(monitor_status())) clean_up(plan);
    launcher::receive_error(errors_.get());  // ends when the payload has become its program
    if (first_ == 0) throw Error(Code::internal, "the monitor of the container has ended");
    return {first_, text_};
}

}  // namespace oci_runtime
