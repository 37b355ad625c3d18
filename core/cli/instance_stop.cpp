// singularity instance stop
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "cli/instance_verbs.hpp"

namespace sg {

namespace {

int64_t now_ms() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1000000;
}

struct Stopping {
    runtime::Instance instance;
    UniqueFd process;  // readable when it has ended; empty on kernels without
};

// Waits until it has ended or `deadline` (milliseconds of the monotonic clock) has come.
bool ended_by(Stopping& s, int64_t deadline, Session& session) {
    for (;;) {
        const int64_t left = deadline - now_ms();
        if (s.process) {
            pollfd p{s.process.get(), POLLIN, 0};
            if (::poll(&p, 1, static_cast<int>(std::max<int64_t>(left, 0))) == 1) return true;
            if (left <= 0) return false;
        } else {
            if (!instance_runs(session, s.instance)) return true;
            if (left <= 0) return false;
            ::poll(nullptr, 0, 20);
        }
    }
}

}  // namespace

int stop_instances(const StopOptions& o, Session& session) {
    if (o.name.empty() && !o.all) throw Error(Code::usage, "instance stop: a name or --all is missing");
    const auto all = instances_of(o.user);
    const int first = o.force ? SIGKILL : o.signal.empty() ? SIGINT : signal_number(o.signal);
    std::vector<Stopping> stopping;
    for (auto& i : need_instances(session, all, o.all ? "*" : o.name)) {
        if (!instance_runs(session, i) || i.pid <= 0) continue;
        UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, i.pid, 0u)));
        log::info("Stopping " + i.name + " instance of " + i.image + " (PID=" + std::to_string(i.pid) + ")");
        signal_instance(session, i, first);
        stopping.push_back({std::move(i), std::move(process)});
    }
    const int64_t deadline = now_ms() + o.timeout * 1000;
    int code = 0;
    for (auto& s : stopping) {
        if (!ended_by(s, deadline, session)) {
            log::info("Killing " + s.instance.name + " instance of " + s.instance.image + " (PID=" + std::to_string(s.instance.pid) + ") (Timeout)");
            signal_instance(session, s.instance, SIGKILL);
            if (!ended_by(s, now_ms() + 10000, session)) {
                log::error("the instance " + s.instance.name + " does not end: its process " + std::to_string(s.instance.pid) + " waits in the kernel");
                code = 255;
                continue;
            }
        }
        (void)all.find(s.instance.name, launchers_of(session));  // takes its files away
    }
    return code;
}

}  // namespace sg
