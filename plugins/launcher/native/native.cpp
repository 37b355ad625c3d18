// The launcher "native": the caller's process becomes the container's.
//
// The way of a start: read the spec, user namespace, what must be opened outside (loop device or FUSE
// server), the other namespaces, the root file system with all mounts, pivot, rights, working directory,
// environment, exec. In front of pivot_root everything that is needed later is loaded.
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <singularity/launcher.hpp>

#include "action.hpp"
#include "environment.hpp"
#include "first_process.hpp"
#include "namespaces.hpp"
#include "privileges.hpp"
#include "rootfs.hpp"
#include "spec.hpp"

namespace native {
namespace {

const singularity::Host host_log;

// A program started with a closed descriptor 0, 1 or 2 would get our files there.
void open_standard_descriptors() {
    for (int fd = 0; fd < 3; ++fd) {
        if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
        const int null = ::open("/dev/null", O_RDWR);
        if (null >= 0 && null != fd) {
            ::dup2(null, fd);
            ::close(null);
        }
    }
}

void enter_directory(const Spec& spec, Variables& variables) {
    std::string now = spec.cwd;
    if (::chdir(spec.cwd.c_str()) != 0) {
        const int reason = errno;
        if (spec.cwd_required) throw system_error(reason, "cannot enter the directory", spec.cwd + " in the container");
        now.clear();
        for (const auto& other : spec.cwd_fallback) {
            if (::chdir(other.c_str()) != 0) continue;
            now = other;
            break;
        }
        if (now.empty()) {
            if (::chdir("/") != 0) fail("cannot enter /");
            now.assign(1, '/');
        }
        host_log.warn(system_error(reason, "cannot enter the directory", spec.cwd + " in the container").message() + ", using " + now);
    }
    variables["PWD"] = now;
}

// From inside all namespaces to the payload.
[[noreturn]] void become_payload(const Spec& spec) {
    limit_privileges(spec);
    ContainerEnvironment environment;
    Variables nothing;
    enter_directory(spec, nothing);  // before the scripts, as they may look around
    environment = container_environment(spec);
    if (environment.exited) ::_exit(environment.status);
    environment.variables["PWD"] = nothing["PWD"];
    const CommandLine command = command_for(spec, environment.variables);
    execute(command, environment.variables, spec.images[0].arch);
}

void set_up_namespaces_inside(const Spec& spec) {
    if (spec.net) bring_up_loopback();
    if (spec.uts && !spec.hostname.empty() && ::sethostname(spec.hostname.data(), spec.hostname.size()) != 0)
        fail("cannot set the host name", spec.hostname);
}

// An Error through a pipe to the process that reports it.
void send_error(int fd, const Error& e) {
    sg_error err;
    std::memset(&err, 0, sizeof err);
    (void)singularity::fill(&err, e.code(), e.message(), e.hint(), e.detail());
    (void)!::write(fd, &err, sizeof err);
}

bool receive(int fd, void* data, size_t size) {
    auto* at = static_cast<char*>(data);
    while (size > 0) {
        const ssize_t n = ::read(fd, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n;
        size -= static_cast<size_t>(n);
    }
    return true;
}

struct Pipe {
    Fd reader, writer;
    Pipe() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) fail("cannot make a pipe");
        reader = Fd(ends[0]);
        writer = Fd(ends[1]);
    }
};

// Dies with its parent; `alive` is the read end of a pipe whose other end only the parent has, so that a
// parent that is gone already is noticed.
void die_with_parent(int alive) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    pollfd p{alive, 0, 0};
    if (::poll(&p, 1, 0) == 1 && (p.revents & POLLHUP)) ::_exit(255);
}

pid_t clone_as_sibling() {
    // The new process gets our parent, who waits for it; we have nothing left to do.
    return static_cast<pid_t>(::syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

}  // namespace

class Native final : public singularity::Launcher {
public:
    void become(const sg_launch& launch) override {
        const Spec spec = parse_spec(launch.spec);
        open_standard_descriptors();
        if (spec.pid) {  // a PID namespace begins with a new process
            const int status = run_spec(spec, launch);
            if (WIFSIGNALED(status)) ::_exit(128 + WTERMSIG(status));
            ::_exit(WEXITSTATUS(status));
        }
        Rootfs rootfs(spec, launch);
        if (spec.user) enter_user_namespace(spec);
        rootfs.prepare();
        unshare_rest(namespace_flags(spec));
        set_up_namespaces_inside(spec);
        rootfs.build();
        rootfs.enter();
        become_payload(spec);
    }

    int run(const sg_launch& launch) override {
        const Spec spec = parse_spec(launch.spec);
        open_standard_descriptors();
        return run_spec(spec, launch);
    }

private:
    static int run_spec(const Spec& spec, const sg_launch& launch) {
        Pipe errors, reports, alive;
        Waiter waiter;
        const pid_t child = ::fork();
        if (child < 0) fail("cannot start a process for the container");
        if (child == 0) {
            alive.writer.reset();
            errors.reader.reset();
            reports.reader.reset();
            waiter.restore_in_child();
            die_with_parent(alive.reader.get());
            try {
                contain(spec, launch, errors.writer.get(), reports.writer.get(), alive.reader.get());
            } catch (const Error& e) {
                send_error(errors.writer.get(), e);
            } catch (const std::exception& e) {
                send_error(errors.writer.get(), Error(Code::internal, e.what()));
            }
            ::_exit(255);
        }
        errors.writer.reset();
        reports.writer.reset();
        // The middle process says who the first one of the new PID namespace is, then ends.
        pid_t first = child;
        if (spec.pid) {
            pid_t reported = 0;
            if (receive(reports.reader.get(), &reported, sizeof reported)) {
                first = reported;
                int ignored = 0;
                while (::waitpid(child, &ignored, 0) < 0 && errno == EINTR) {
                }
            }
        }
        int status = waiter.wait(first);
        int exact = 0;
        if (spec.pid && receive(reports.reader.get(), &exact, sizeof exact)) status = exact;
        sg_error err;
        if (receive(errors.reader.get(), &err, sizeof err)) {
            err.message[sizeof err.message - 1] = err.hint[sizeof err.hint - 1] = err.detail[sizeof err.detail - 1] = '\0';
            throw Error(static_cast<Code>(err.code), err.message, err.hint, err.detail);
        }
        return status;
    }

    // In the child: all steps up to the payload.
    [[noreturn]] static void contain(const Spec& spec, const sg_launch& launch, int errors, int reports, int alive) {
        Rootfs rootfs(spec, launch);
        if (spec.user) enter_user_namespace(spec);
        rootfs.prepare();
        if (spec.pid) {
            if (::unshare(CLONE_NEWPID) != 0) fail("cannot create a PID namespace");
            const pid_t first = clone_as_sibling();
            if (first < 0) fail("cannot start the first process of the PID namespace");
            if (first > 0) {
                (void)!::write(reports, &first, sizeof first);
                ::_exit(0);
            }
            ::prctl(PR_SET_NAME, spec.init ? first_process_name : "singularity", 0, 0, 0);
            die_with_parent(alive);
        }
        unshare_rest(namespace_flags(spec));
        set_up_namespaces_inside(spec);
        rootfs.build();
        rootfs.enter();
        const auto payload = [&] {
            try {
                become_payload(spec);
            } catch (const Error& e) {
                send_error(errors, e);
            } catch (const std::exception& e) {
                send_error(errors, Error(Code::internal, e.what()));
            }
            ::_exit(255);
        };
        if (spec.pid && spec.init) be_first_process(reports, payload);
        payload();
        ::_exit(255);
    }
};

}  // namespace native

SINGULARITY_PLUGIN(native, native::Native)
