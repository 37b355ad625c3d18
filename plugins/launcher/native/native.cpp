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

#include "family/first_process.hpp"
#include "family/instance.hpp"
#include "family/namespaces.hpp"
#include "family/network.hpp"
#include "family/payload.hpp"
#include "family/privileges.hpp"
#include "family/report.hpp"
#include "family/rootfs.hpp"
#include "family/spec.hpp"

namespace native {
using namespace launcher;
namespace {

void set_up_namespaces_inside(const Spec& spec) {
    if (wants_new_network(spec)) bring_up_loopback();
    if (spec.uts && !spec.hostname.empty() && ::sethostname(spec.hostname.data(), spec.hostname.size()) != 0)
        fail("cannot set the host name", spec.hostname);
}

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
        // A PID namespace begins with a new process, and somebody has to take control groups and networks away.
        if (spec.pid || spec.resources.any || !spec.networks.names.empty()) {
            const int status = run_spec(spec, launch);
            if (WIFSIGNALED(status)) ::_exit(128 + WTERMSIG(status));
            ::_exit(WEXITSTATUS(status));
        }
        Rootfs rootfs(spec, launch);
        Privileges privileges;
        privileges.prepare(spec);
        join_network(spec);
        rootfs.prepare(::getpid());
        unshare_rest(namespace_flags(spec));
        set_up_namespaces_inside(spec);
        rootfs.build();
        rootfs.enter();
        rootfs.start_container_programs();
        privileges.apply(spec);
        become_payload(spec);
    }

    int run(const sg_launch& launch) override {
        const Spec spec = parse_spec(launch.spec);
        open_standard_descriptors();
        return run_spec(spec, launch);
    }

    int start(const sg_launch& launch, const std::string& directory) override {
        const Spec spec = parse_spec(launch.spec);
        Network network(spec);
        if (spec.resources.any) Rootfs(spec, launch).start_shared_server();
        return start_instance(directory, spec, network,
                              [&](int errors, int reports, Service& service) { contain(spec, launch, network, errors, reports, -1, &service); });
    }
    void join(const sg_launch& launch, const std::string& directory) override {
        const Spec spec = parse_spec(launch.spec);
        open_standard_descriptors();
        Privileges privileges;
        privileges.prepare(spec);
        join_instance(directory, [&] {
            privileges.apply(spec);
            become_payload(spec);
        });
    }
    void signal(const std::string& directory, int number) override { signal_instance(directory, number); }
    std::string state(const std::string& directory) override { return instance_state(directory); }
    void remove(const std::string& directory) override { forget_instance(directory); }

private:
    static int run_spec(const Spec& spec, const sg_launch& launch) {
        Network network(spec);  // first: its process gets none of what follows
        if (spec.resources.any) Rootfs(spec, launch).start_shared_server();
        Pipe errors, reports, alive;
        ControlGroup group(spec.resources);
        Waiter waiter;
        const pid_t child = ::fork();
        if (child < 0) fail("cannot start a process for the container");
        if (child == 0) {
            alive.writer.reset();
            errors.reader.reset();
            reports.reader.reset();
            waiter.restore_in_child();
            die_with_parent(alive.reader.get());
            or_send_error(errors.writer.get(), [&] {
                group.enter();
                contain(spec, launch, network, errors.writer.get(), reports.writer.get(), alive.reader.get(), nullptr);
            });
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
        receive_error(errors.reader.get());
        return status;
    }

    // In the child: all steps up to the payload. A service lives on without its starter.
    [[noreturn]] static void contain(const Spec& spec, const sg_launch& launch, const Network& network, int errors, int reports, int alive, Service* service) {
        Rootfs rootfs(spec, launch);
        Privileges privileges;
        privileges.prepare(spec);
        join_network(spec);
        network.join();
        rootfs.prepare(::getppid());  // who waits for the container
        if (spec.pid) {
            if (::unshare(CLONE_NEWPID) != 0) fail("cannot create a PID namespace");
            const pid_t first = clone_as_sibling();
            if (first < 0) fail("cannot start the first process of the PID namespace");
            if (first > 0) {
                (void)!::write(reports, &first, sizeof first);
                ::_exit(0);
            }
            ::prctl(PR_SET_NAME, spec.init ? first_process_name : "singularity", 0, 0, 0);
            if (!service) die_with_parent(alive);
        }
        unshare_rest(namespace_flags(spec));
        set_up_namespaces_inside(spec);
        rootfs.build();
        rootfs.enter();
        const auto payload = [&] {
            or_send_error(errors, [&] {
                rootfs.start_container_programs();
                privileges.apply(spec);
                become_payload(spec);
            });
        };
        if (service) be_service(*service, errors, payload);
        if (spec.pid && spec.init) be_first_process(reports, payload);
        payload();
        ::_exit(255);
    }
};

}  // namespace native

SINGULARITY_PLUGIN(native, native::Native)
