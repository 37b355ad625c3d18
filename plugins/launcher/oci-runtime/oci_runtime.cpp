// The launcher "oci-runtime": a LaunchSpec becomes a bundle of the OCI runtime-spec, which crun or runc runs.
//
// The way of a start: members checked, the image's OCI configuration read, a monitor forked (container.hpp). It makes
// the root file system with the code of the launchers' family in namespaces of its own, writes config.json
// (config_json.hpp) and has the runtime create and start the container. The container's first program (init/main.cpp)
// evaluates the image's environment and becomes what was asked for. The caller waits (caller.hpp).
#include <sys/wait.h>

#include <optional>
#include <singularity/launcher.hpp>

#include "caller.hpp"
#include "family/cgroup.hpp"
#include "container.hpp"
#include "family/instance.hpp"
#include "family/instance_file.hpp"
#include "family/namespaces.hpp"
#include "family/network.hpp"
#include "family/payload.hpp"
#include "family/service.hpp"
#include "terminal.hpp"

namespace oci_runtime {
namespace {

using launcher::Fd;
using singularity::Code;
using singularity::Error;

struct Pipes {
    launcher::Pipe errors, reports;
};

void take_image(Plan& plan, const sg_launch& launch) {
    const launcher::Image& root = plan.spec.images[0];
    plan.image = root.path.empty() ? ImageConfig() : read_image_config(root.path, launch.call);
    plan.user_of_image = !plan.image.user.empty() && user_applies(plan.spec, ::geteuid());
}

// Real root has the runtime make control groups, runc in any case. Ordinary users' limits are set around it.
bool makes_groups(const Plan& plan) {
    return !plan.spec.user && launcher::can_mount_in_kernel() && (plan.spec.resources.any || !plan.runtime.crun);
}

int run_plan(const Plan& plan, const sg_launch& launch, const Joinable* joined) {
    // First: its process gets none of what follows.
    const launcher::Network network(joined ? launcher::Spec() : plan.spec);
    auto [ours, theirs] = Channel::make();
    Pipes pipes;
    const launcher::Resources none;
    if (!joined && plan.spec.resources.any) start_shared_server(plan, launch);
    launcher::ControlGroup group(plan.limits || joined ? none : plan.spec.resources);
    const SignalsPassedOn signals;
    const pid_t child = ::fork();
    if (child < 0) launcher::fail("cannot start a process for the container");
    if (child == 0) {
        ours.close();
        pipes.errors.reader.reset();
        pipes.reports.reader.reset();
        if (joined)
            join_monitor(plan, *joined, theirs, std::move(pipes.errors.writer), std::move(pipes.reports.writer));
        try {
            group.enter();
        } catch (const Error& e) {
            launcher::send_error(pipes.errors.writer.get(), e);
            ::_exit(255);
        }
        run_monitor(plan, launch, network, theirs, std::move(pipes.errors.writer), std::move(pipes.reports.writer),
                    false);
    }
    theirs.close();
    pipes.errors.writer.reset();
    pipes.reports.writer.reset();
    return Caller(std::move(ours), std::move(pipes.errors.reader), std::move(pipes.reports.reader), child)
        .wait(plan, signals);
}

[[noreturn]] void leave(int status) {
    if (WIFSIGNALED(status)) ::_exit(128 + WTERMSIG(status));
    ::_exit(WEXITSTATUS(status));
}

Fd open_stream(const std::string& path) {
    Fd fd(path.empty() ? ::open("/dev/null", O_RDWR | O_CLOEXEC)
                       : ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) launcher::fail("cannot open the instance's log", path);
    return fd;
}

Plan plan_run(const sg_launch& launch) {
    Plan plan = plan_launch(launch);
    launcher::open_standard_descriptors();
    take_image(plan, launch);
    plan.limits = makes_groups(plan);
    plan.terminal = has_terminal();
    return plan;
}

}  // namespace

class OciRuntime final : public singularity::Launcher {
public:
    void become(const sg_launch& launch) override { leave(run(launch)); }

    int run(const sg_launch& launch) override { return run_plan(plan_run(launch), launch, nullptr); }

    int start(const sg_launch& launch, const std::string& directory) override {
        Plan plan = plan_run(launch);
        plan.terminal = false;
        launcher::Network network(plan.spec);
        const launcher::InstanceFacts& instance = plan.spec.instance;
        const Fd in = open_stream(""), out = open_stream(instance.out), err = open_stream(instance.err);
        auto [ours, theirs] = Channel::make();
        Pipes pipes;
        const launcher::Resources none;
        if (plan.spec.resources.any) start_shared_server(plan, launch);
        launcher::ControlGroup group(plan.limits ? none : plan.spec.resources);
        const pid_t child = ::fork();
        if (child < 0) launcher::fail("cannot start a process for the instance");
        if (child == 0) {
            ours.close();
            pipes.errors.reader.reset();
            pipes.reports.reader.reset();
            launcher::or_send_error(pipes.errors.writer.get(), [&] {
                launcher::leave_terminal();
                for (int fd = 0; fd < 3; ++fd)
                    if (::dup2((fd == 0 ? in : fd == 1 ? out : err).get(), fd) < 0)
                        launcher::fail("cannot set the standard streams of the instance");
                group.enter();
                run_monitor(plan, launch, network, theirs, std::move(pipes.errors.writer),
                            std::move(pipes.reports.writer), true);
            });
        }
        theirs.close();
        pipes.errors.writer.reset();
        pipes.reports.writer.reset();
        const auto [first, text] =
            Caller(std::move(ours), std::move(pipes.errors.reader), std::move(pipes.reports.reader), child).started(plan);
        Joinable joinable{
            child, plan.id, plan.runtime.program,  {}, plan.first_place, plan.runtime.crun, plan.limits, {},
            {},    {},      plan.image.stop_signal};
        take_text(joinable, text);
        launcher::Identity who;
        try {
            who = launcher::identity_of(first);
        } catch (const Error&) {
            throw Error(Code::not_found, "the instance '" + launcher::name_of(directory) + "' ended at once",
                        instance.err.empty() ? std::string() : "its messages are in " + instance.err);
        }
        who.own_processes = plan.spec.pid;
        who.limited = plan.spec.resources.any;
        who.network = network.record();
        who.address = network.address();
        who.groups = group_directories(first, plan.id);
        who.groups.insert(who.groups.end(), group.directories().begin(), group.directories().end());
        try {
            write_joinable(directory, joinable);
            launcher::write_identity(directory, who);
        } catch (...) {
            ::kill(first, SIGKILL);
            throw;
        }
        group.keep();
        network.hand_to(first);
        return first;
    }

    void join(const sg_launch& launch, const std::string& directory) override {
        Plan plan = plan_launch(launch);
        launcher::open_standard_descriptors();
        const launcher::Identity who = launcher::need_running(directory);
        const Joinable joinable = read_joinable(directory);
        plan.runtime = {joinable.runtime, joinable.crun};
        plan.limits = joinable.limits;
        plan.terminal = has_terminal();
        if (who.limited && !joinable.limits) launcher::enter_groups_of(who.pid);
        leave(run_plan(plan, launch, &joinable));
    }

    void signal(const std::string& directory, int number) override {
        // `instance stop` sends SIGINT unless told otherwise: the image's STOPSIGNAL takes its place.
        if (number == SIGINT) {
            try {
                if (const int wanted = read_joinable(directory).stop_signal) number = wanted;
            } catch (const Error&) {  // signal_instance() says it better
            }
        }
        launcher::signal_instance(directory, number);
    }
    std::string state(const std::string& directory) override { return launcher::instance_state(directory); }
    void remove(const std::string& directory) override {
        launcher::forget_instance(directory);
        remove_joinable(directory);
    }
};

}  // namespace oci_runtime

SINGULARITY_PLUGIN(oci-runtime, oci_runtime::OciRuntime)
