#include "container.hpp"

#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "family/capability_names.hpp"
#include "config_json.hpp"
#include "joinable.hpp"
#include "family/namespaces.hpp"
#include "family/report.hpp"
#include "family/rootfs.hpp"
#include "terminal.hpp"
#include "tree.hpp"

namespace oci_runtime {
namespace {

using launcher::fail;
using launcher::Fd;
using launcher::Spec;
using singularity::Code;
using singularity::Error;

const singularity::Host host;

uint64_t permitted_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    if (::syscall(SYS_capget, &header, data) != 0) fail("cannot read capabilities");
    return data[0].permitted | static_cast<uint64_t>(data[1].permitted) << 32;
}

Fd memory_file(const std::string& text) {
    Fd fd(::memfd_create("launch-spec", MFD_CLOEXEC));
    if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        fail("cannot keep the LaunchSpec in memory");
    return fd;
}

// What the first program is told beside the LaunchSpec; it reads the same in init/main.cpp.
std::vector<std::string> first_words(const Plan& plan, const std::string& place, const Ids& ids, uint64_t capabilities,
                                     const std::string& home, const std::string& cwd, size_t programs, bool service) {
    std::vector<std::string> out = {place, "--descriptors=" + std::to_string(3 + plan.inherited.size())};
    std::string gaps;
    for (size_t i = 0; i < plan.inherited.size(); ++i)
        if (plan.inherited[i] < 0) gaps += (gaps.empty() ? "" : ",") + std::to_string(3 + i);
    if (!gaps.empty()) out.push_back("--gaps=" + gaps);
    if (programs) out.push_back("--programs=" + std::to_string(programs));
    if (!home.empty()) out.push_back("--home=" + home);
    if (!cwd.empty()) out.push_back("--cwd=" + cwd);
    if (service) out.push_back("--service=" + std::to_string(plan.image.stop_signal));
    if (ids.inner_by_program)
        out.push_back("--ids=" + std::to_string(ids.inner_uids[0].container) + ":" +
                      std::to_string(ids.inner_gids[0].container) + ":" + std::to_string(capabilities));
    return out;
}

uint64_t wanted_capabilities(const Spec& spec) {
    const uint64_t have = permitted_capabilities();
    if (spec.set_capabilities && spec.capabilities & ~have)
        host.debug("capabilities that are not permitted here are left out");
    return spec.set_capabilities ? spec.capabilities & have : have;
}

void take_process(Bundle& bundle, const Plan& plan, const Ids& ids, uint64_t capabilities) {
    bundle.terminal = plan.terminal;
    bundle.uid = ids.uid, bundle.gid = ids.gid, bundle.groups = ids.groups;
    const mode_t mask = ::umask(0);
    ::umask(mask);
    bundle.umask = mask;
    const uint32_t uid = ids.inner_uids.empty() ? ids.uid : ids.inner_uids[0].container;
    bundle.capabilities = capabilities;
    bundle.bounding_only = !plan.spec.set_capabilities && uid != 0;
    if (!ids.inner_by_program) return;
    // Linux 5.12: who maps the 0 of a namespace must have had this there. What is wanted the first program sets.
    bundle.capabilities = launcher::capability_bit("CAP_SETFCAP");
    bundle.bounding_only = false;
}

// Who the process is by the numbers of the container, for those who join.
ImageUser seen_inside(const Ids& ids) {
    if (ids.inner_uids.empty()) return {ids.uid, ids.gid, ids.groups, {}};
    return {ids.inner_uids[0].container, ids.inner_gids[0].container, {}, {}};
}

std::vector<int> with_own(const Plan& plan, const std::vector<int>& own) {
    std::vector<int> out = plan.inherited;
    out.insert(out.end(), own.begin(), own.end());
    return out;
}

// Parent of the container's first process until that ends. Signals of the job reach it by the caller only.
[[noreturn]] void attend(const Channel& channel, pid_t first, bool service, const std::function<void()>& ended) {
    sigset_t child;
    ::sigemptyset(&child);
    ::sigaddset(&child, SIGCHLD);
    const Fd signals(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals) fail("cannot wait for signals");
    bool listens = true;
    for (;;) {
        int status = 0;
        for (pid_t done; (done = ::waitpid(-1, &status, WNOHANG)) > 0;) {
            if (done != first) continue;
            ended();
            (void)channel.send(Say::ended, status);
            ::_exit(0);
        }
        pollfd all[2] = {{signals.get(), POLLIN, 0}, {listens ? channel.fd() : -1, POLLIN, 0}};
        if (::poll(all, 2, -1) < 0 && errno != EINTR) ::_exit(255);
        signalfd_siginfo info;
        while (::read(signals.get(), &info, sizeof info) > 0) {
        }
        if (!listens || !(all[1].revents & (POLLIN | POLLHUP))) continue;
        const auto message = channel.receive();
        if (message && message->what == Say::signal) {
            (void)::kill(first, message->value);
        } else if (!message) {
            listens = false;
            if (!service) (void)::kill(first, SIGKILL);
        }
    }
}

void block_signals() {
    sigset_t all;
    ::sigfillset(&all);
    for (const int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) ::sigdelset(&all, s);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
}

// runc takes who joins to those namespaces alone that it has made itself; the networks are the monitor's.
void enter_network_of(const std::string& namespaces) {
    const Fd network(::open((namespaces + "net").c_str(), O_RDONLY | O_CLOEXEC));
    struct stat own, other;
    if (!network || ::fstat(network.get(), &other) != 0 || ::stat("/proc/self/ns/net", &own) != 0)
        fail("cannot reach the network of the instance");
    if (own.st_ino != other.st_ino && ::setns(network.get(), CLONE_NEWNET) != 0)
        fail("cannot enter the network of the instance");
}

// Until the container is there, the caller's end is ours.
void end_with_caller(const Channel& channel) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (channel.closed()) ::_exit(255);
}
void outlive_caller(const Channel& channel) {
    ::prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
    if (channel.closed()) ::_exit(255);
}

// WORKDIR, where nobody says otherwise.
std::string directory_of_image(const Plan& plan) {
    return plan.spec.cwd_required ? std::string() : plan.image.working_directory;
}

// The root file system as the monitor makes it: what is its own, and without what is left to the runtime.
Spec spec_of_tree(const Plan& plan, const Ids& ids, Mounts& mounts) {
    const Spec& spec = plan.spec;
    Spec tree = spec;
    tree.pid = tree.ipc = tree.uts = tree.net = false;
    tree.uids = ids.outer_uids, tree.gids = ids.outer_gids;
    if (plan.user_of_image)  // the image's own files say who that is
        std::erase_if(tree.mounts, [](const launcher::Mount& m) {
            return m.type == "generated" && (m.source == "passwd" || m.source == "group");
        });
    add_volumes(tree, plan.image.volumes);
    const std::string cwd = directory_of_image(plan);
    if (!cwd.empty()) {
        launcher::Mount m;  // made when it is not there, as Docker does
        m.destination = cwd;
        m.tag = "cwd";
        m.missing = launcher::Missing::skip;
        m.only_place = true;
        tree.mounts.push_back(m);
    }
    launcher::Mount first;
    first.destination = plan.first_place;
    first.type = "bind";
    first.source = plan.first_program;
    first.tag = "files";
    first.directory = false;
    first.read_only = first.no_suid = first.no_dev = true;
    tree.mounts.push_back(first);

    Spec divided = tree;
    divided.pid = spec.pid, divided.ipc = spec.ipc, divided.net = spec.net;
    mounts = divide(divided);
    tree.mounts = mounts.tree;
    return tree;
}

}  // namespace

void start_shared_server(const Plan& plan, const sg_launch& launch) {
    Mounts mounts;
    const Spec tree = spec_of_tree(plan, choose_ids(plan.spec, nullptr, plan.runtime.crun), mounts);
    launcher::Rootfs(tree, launch).start_shared_server();
}

void run_monitor(const Plan& plan, const sg_launch& launch, const launcher::Network& network, const Channel& channel,
                 Fd errors, Fd reports, bool service) {
    launcher::or_send_error(errors.get(), [&] {
        block_signals();
        ::setsid();
        end_with_caller(channel);
        ::prctl(PR_SET_NAME, "oci-monitor", 0, 0, 0);
        const Spec& spec = plan.spec;
        launcher::join_network(spec);  // one that is there; a new one is the runtime's to make
        network.join();
        Ids ids = choose_ids(spec, nullptr, plan.runtime.crun);
        const std::string cwd = directory_of_image(plan);
        Mounts mounts;
        const Spec tree = spec_of_tree(plan, ids, mounts);
        launcher::Rootfs rootfs(tree, launch);
        rootfs.prepare(::getpid());
        if (::unshare(CLONE_NEWNS) != 0) fail("cannot create a mount namespace");
        rootfs.build();
        const std::string session = rootfs.session().path;
        const std::string& root = rootfs.hand_over();

        std::optional<ImageUser> user;
        if (plan.user_of_image) {
            user = find_user(plan.image.user, file_of_tree(rootfs.root(), "/etc/passwd"),
                             file_of_tree(rootfs.root(), "/etc/group"));
            ids = choose_ids(spec, &*user, plan.runtime.crun);
        }
        const std::string home = user ? user->home : std::string();
        const uint64_t capabilities = wanted_capabilities(spec);
        Bundle bundle;
        take_process(bundle, plan, ids, capabilities);
        bundle.root = root;
        bundle.read_only = spec.read_only && spec.layer != "tmpfs" &&
                           std::none_of(spec.images.begin(), spec.images.end(), [](const launcher::Image& i) {
                               return i.role == launcher::Role::overlay && i.writable;
                           });
        bundle.cwd = directory_or_top(rootfs.root(), cwd.empty() ? spec.cwd : cwd);
        if (!ids.inner_uids.empty() && !ids.inner_by_program) {
            bundle.new_user_namespace = true;
            bundle.uids = ids.inner_uids, bundle.gids = ids.inner_gids;
        }
        bundle.keep_groups = spec.user;
        if (plan.limits) bundle.cgroup = "/" + plan.id;
        bundle.args = first_words(plan, plan.first_place, ids, capabilities, home, cwd,
                                  rootfs.container_programs().size(), service);
        const std::string dev = resolved(rootfs.root(), root, "/dev");
        if (dev.empty())
            throw Error(Code::not_found, "the image has no directory /dev, and none can be made",
                        "leave out --writable");
        bundle.mounts = runtime_mounts(mounts, rootfs.root(), root, dev, bundle.new_user_namespace);
        if (plan.terminal && !plan.runtime.crun) show_console(session, root, dev);
        if (plan.runtime.crun) hide_second_version(session);

        const std::string directory = session + "/bundle";
        if (::mkdir(directory.c_str(), 0700) != 0 || ::mkdir((session + "/state").c_str(), 0700) != 0)
            fail("cannot create the bundle's directory", directory);
        const std::string config = config_json(spec, bundle, plan.document);
        Spec shown = spec;
        shown.environment.clear();  // may hold what is nobody else's business
        host.debug("config.json: " + config_json(shown, bundle, plan.document));
        launcher::write_file(AT_FDCWD, directory + "/config.json", config, 0600);

        Fd user_namespace(::open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC)),
            mount_namespace(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
        if (!channel.send(Say::ready, 0, session, {user_namespace.get(), mount_namespace.get()})) ::_exit(255);
        user_namespace.reset();
        mount_namespace.reset();
        outlive_caller(channel);

        ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);  // after the host's servers, which are not ours to keep
        const RuntimeCommands runtime(plan.runtime, session, plan.id, plan.limits);
        launcher::Pipe go;
        const Fd text = memory_file(plan.document);
        std::vector<int> own = {text.get(), go.reader.get(), errors.get(), reports.get()};
        for (const auto& p : rootfs.container_programs()) own.push_back(p.device.get());
        const std::string console = plan.terminal ? session + "/console.sock" : std::string();
        try {
            std::optional<ConsoleSocket> socket;
            if (plan.terminal) socket.emplace(console);
            runtime.create(directory, console, {with_own(plan, own), true});
            if (socket) {
                const Fd master = socket->receive();
                if (!channel.send(Say::console, 0, {}, {master.get()}))
                    throw Error(Code::internal, "the caller has ended");
            }
            const pid_t pid = runtime.pid();
            runtime.start();
            rootfs.container_programs().clear();
            (void)channel.send(Say::started, pid, joinable_text(session, home, cwd, seen_inside(ids)));
            (void)!::write(go.writer.get(), "", 1);
            errors.reset();
            reports.reset();
            attend(channel, pid, service, [&] {
                if (plan.limits || !plan.runtime.crun) runtime.remove();
            });
        } catch (...) {
            runtime.kill_and_remove();
            throw;
        }
    });
}

void join_monitor(const Plan& plan, const Joinable& container, const Channel& channel, Fd errors, Fd reports) {
    launcher::or_send_error(errors.get(), [&] {
        block_signals();
        ::setsid();
        end_with_caller(channel);
        ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        ::prctl(PR_SET_NAME, "oci-monitor", 0, 0, 0);
        const std::string of_monitor = "/proc/" + std::to_string(container.monitor) + "/ns/";
        const Fd user(::open((of_monitor + "user").c_str(), O_RDONLY | O_CLOEXEC)),
            mount(::open((of_monitor + "mnt").c_str(), O_RDONLY | O_CLOEXEC));
        if (!user || !mount) fail("cannot reach the monitor of the instance");
        enter_network_of(of_monitor);
        if (plan.spec.user && ::setns(user.get(), CLONE_NEWUSER) != 0)
            fail("cannot enter the instance's user namespace");
        if (::setns(mount.get(), CLONE_NEWNS) != 0) fail("cannot enter the mount namespace of the instance's monitor");
        const uint64_t capabilities = wanted_capabilities(plan.spec);
        const Ids ids = choose_ids(plan.spec, container.user ? &*container.user : nullptr, plan.runtime.crun);
        Bundle bundle;
        take_process(bundle, plan, ids, capabilities);
        bundle.args = first_words(plan, container.place, ids, capabilities, container.home,
                                  plan.spec.cwd_required ? "" : container.cwd, 0, false);
        const std::string name = container.session + "/join-" + plan.id, process = name + ".json",
                          pid_file = name + ".pid", console = plan.terminal ? name + ".sock" : "";
        const auto tidy = [&] {
            for (const auto& file : {process, pid_file, console})
                if (!file.empty()) (void)::unlink(file.c_str());
        };
        launcher::write_file(AT_FDCWD, process, process_json(plan.spec, bundle), 0600);
        try {
            const RuntimeCommands runtime(plan.runtime, container.session, container.id, container.limits);
            launcher::Pipe go;
            const Fd text = memory_file(plan.document);
            std::optional<ConsoleSocket> socket;
            if (plan.terminal) socket.emplace(console);
            runtime.exec(process, pid_file, console,
                         {with_own(plan, {text.get(), go.reader.get(), errors.get(), reports.get()}), true});
            const pid_t pid = read_pid(pid_file);
            if (socket) {
                const Fd master = socket->receive();
                (void)channel.send(Say::console, 0, {}, {master.get()});
            }
            tidy();
            outlive_caller(channel);
            (void)channel.send(Say::started, pid);
            (void)!::write(go.writer.get(), "", 1);
            errors.reset();
            reports.reset();
            attend(channel, pid, false, [] {});
        } catch (...) {
            tidy();
            throw;
        }
    });
}

}  // namespace oci_runtime
