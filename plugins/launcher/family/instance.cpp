#include "family/instance.hpp"

#include <dirent.h>
#include <poll.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <set>

#include "family/cgroup.hpp"
#include "family/first_process.hpp"
#include "family/instance_file.hpp"
#include "family/report.hpp"

namespace launcher {
namespace {

Fd open_log(const std::string& path) {
    Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) fail("cannot open the instance's log", path);
    return fd;
}

Fd open_null() {
    Fd fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!fd) fail("cannot open", "/dev/null");
    return fd;
}

int pidfd_open(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0u)); }

// A descriptor that stands for the process and for none that gets its number later; empty on kernels without.
Fd hold(const std::string& directory, const Identity& who) {
    Fd fd(pidfd_open(who.pid));
    if (!fd && errno != ENOSYS && errno != ESRCH) fail("cannot reach the instance's process", std::to_string(who.pid));
    if (life_of(who) != Life::running) throw Error(Code::not_found, "no instance '" + name_of(directory) + "' is running");
    return fd;
}

void send(const Fd& held, pid_t pid, int signal) {
    const long done = held ? ::syscall(SYS_pidfd_send_signal, held.get(), signal, nullptr, 0u) : ::kill(pid, signal);
    if (done != 0 && errno != ESRCH) fail("cannot send a signal to the instance's process", std::to_string(pid));
}

struct Process {
    pid_t pid;
    char state;  // of proc(5)
};

// `top` and all processes below it, by the parents that /proc tells of.
std::vector<Process> tree_of(pid_t top) {
    std::multimap<pid_t, Process> by_parent;
    std::vector<Process> out{{top, 'R'}};
    if (DIR* dir = ::opendir("/proc")) {
        while (const dirent* e = ::readdir(dir)) {
            const pid_t pid = static_cast<pid_t>(std::strtol(e->d_name, nullptr, 10));
            if (pid <= 0) continue;
            try {
                const std::string text = read_file(AT_FDCWD, std::string("/proc/") + e->d_name + "/stat", 8192);
                int parent = 0;
                char state = 0;
                const size_t end = text.rfind(')');
                if (end == std::string::npos || std::sscanf(text.c_str() + end + 1, " %c %d", &state, &parent) != 2) continue;
                if (pid == top) out[0].state = state;
                by_parent.emplace(parent, Process{pid, state});
            } catch (const Error&) {  // it has ended
            }
        }
        ::closedir(dir);
    }
    for (size_t i = 0; i < out.size(); ++i) {
        const auto [from, to] = by_parent.equal_range(out[i].pid);
        for (auto it = from; it != to; ++it) out.push_back(it->second);
    }
    return out;
}

// Stops them all first: one that is killed while another still forks would leave that one's child behind. The processes below `top`.
std::vector<pid_t> stopped_below(pid_t top) {
    constexpr int most_looks = 1000;
    constexpr timespec pause{0, 1000000};
    std::set<pid_t> told;
    for (int look = 0;; ++look) {
        const std::vector<Process> all = tree_of(top);
        bool still = false;
        for (const Process& p : all) {
            if (std::strchr("TtZXx", p.state)) continue;
            if (told.insert(p.pid).second)
                ::kill(p.pid, SIGSTOP);
            else if (p.state == 'D')
                continue;  // it stops before it does anything else
            still = true;
        }
        if (!still || look == most_looks) {
            std::vector<pid_t> below;
            for (size_t i = 1; i < all.size(); ++i) below.push_back(all[i].pid);
            return below;
        }
        ::nanosleep(&pause, nullptr);
    }
}

struct Namespace {
    const char* name;
    int flag;
};
// The user namespace first, as the rights for the others come with it; the mounts last, as /proc goes with them.
constexpr Namespace kinds[] = {{"user", CLONE_NEWUSER}, {"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS},
                               {"net", CLONE_NEWNET},   {"pid", CLONE_NEWPID},       {"mnt", CLONE_NEWNS}};

// Opens those namespaces of the process that are not ours.
std::vector<std::pair<Fd, Namespace>> foreign_namespaces(pid_t pid) {
    std::vector<std::pair<Fd, Namespace>> out;
    for (const auto& kind : kinds) {
        const std::string path = "/proc/" + std::to_string(pid) + "/ns/" + kind.name, own = std::string("/proc/self/ns/") + kind.name;
        struct stat ours, theirs;
        if (::stat(own.c_str(), &ours) != 0 && errno == ENOENT) continue;  // a kernel without
        Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (!fd || ::fstat(fd.get(), &theirs) != 0) fail("cannot reach the instance's namespaces", path);
        if (ours.st_ino != theirs.st_ino) out.emplace_back(std::move(fd), kind);
    }
    return out;
}

void enter_root(const Fd& root) {
    struct stat now, wanted;
    if (::stat("/", &now) == 0 && ::fstat(root.get(), &wanted) == 0 && now.st_dev == wanted.st_dev && now.st_ino == wanted.st_ino) return;
    // A diskless node's container has its root by chroot(2).
    if (::fchdir(root.get()) != 0 || ::chroot(".") != 0 || ::chdir("/") != 0) fail("cannot enter the instance's root");
}

}  // namespace

pid_t start_instance(const std::string& directory, const Spec& spec, Network& network, const std::function<void(int, int, Service&)>& contain) {
    Service service;
    service.title = spec.instance.title;
    service.own_processes = spec.pid;
    service.in = open_null();
    service.out = spec.instance.out.empty() ? open_null() : open_log(spec.instance.out);
    service.err = spec.instance.err.empty() ? open_null() : open_log(spec.instance.err);
    Pipe errors, reports;
    ControlGroup group(spec.resources);
    const pid_t child = ::fork();
    if (child < 0) fail("cannot start a process for the instance");
    if (child == 0) {
        errors.reader.reset();
        reports.reader.reset();
        leave_terminal();
        or_send_error(errors.writer.get(), [&] {
            group.enter();
            contain(errors.writer.get(), reports.writer.get(), service);
        });
    }
    errors.writer.reset();
    reports.writer.reset();
    pid_t first = child;
    if (spec.pid) {
        // The middle process says who the first one of the new PID namespace is, then ends.
        pid_t reported = 0;
        if (receive(reports.reader.get(), &reported, sizeof reported)) first = reported;
        while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    Identity who;
    receive_error(errors.reader.get());  // ends when the payload has become its program
    try {
        who = identity_of(first);
    } catch (const Error&) {
        throw Error(Code::not_found, "the instance '" + name_of(directory) + "' ended at once",
                    spec.instance.err.empty() ? std::string() : "its messages are in " + spec.instance.err);
    }
    who.own_processes = spec.pid;
    who.groups = group.directories();
    who.limited = spec.resources.any;
    who.network = network.record();
    who.address = network.address();
    try {
        write_identity(directory, who);
    } catch (...) {
        ::kill(first, SIGKILL);
        throw;
    }
    group.keep();
    network.hand_to(first);
    return first;
}

void join_instance(const std::string& directory, const std::function<void()>& payload) {
    const Identity who = need_running(directory);
    Fd root(::open(("/proc/" + std::to_string(who.pid) + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) fail("cannot reach the root of the instance", name_of(directory));
    const auto namespaces = foreign_namespaces(who.pid);
    (void)hold(directory, who);  // it is still the same process: so are the descriptors
    if (who.limited) enter_groups_of(who.pid);
    bool fresh_pid = false;
    for (const auto& [fd, kind] : namespaces) {
        if (::setns(fd.get(), kind.flag) != 0) fail(std::string("cannot enter the instance's namespace ") + kind.name, name_of(directory));
        fresh_pid = fresh_pid || kind.flag == CLONE_NEWPID;
    }
    enter_root(root);
    root.reset();
    if (!fresh_pid) {
        payload();
        ::_exit(255);
    }
    // Who enters a PID namespace stays outside; its children are in it.
    Pipe errors, alive;
    Waiter waiter;
    const pid_t child = ::fork();
    if (child < 0) fail("cannot start a process in the instance", name_of(directory));
    if (child == 0) {
        errors.reader.reset();
        alive.writer.reset();
        waiter.restore_in_child();
        ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        pollfd p{alive.reader.get(), 0, 0};
        if (::poll(&p, 1, 0) == 1 && (p.revents & POLLHUP)) ::_exit(255);
        or_send_error(errors.writer.get(), payload);
    }
    errors.writer.reset();
    const int status = waiter.wait(child);
    receive_error(errors.reader.get());
    if (WIFSIGNALED(status)) ::_exit(128 + WTERMSIG(status));
    ::_exit(WEXITSTATUS(status));
}

void signal_instance(const std::string& directory, int signal) {
    const Identity who = need_running(directory);
    const Fd held = hold(directory, who);
    // Without a PID namespace nobody ends the others when the first process cannot any more.
    const std::vector<pid_t> others = signal == SIGKILL && !who.own_processes ? stopped_below(who.pid) : std::vector<pid_t>();
    send(held, who.pid, signal);
    for (const pid_t pid : others) ::kill(pid, signal);
}

std::string instance_state(const std::string& directory) {
    pid_t pid = 0;
    Life life = Life::dead;
    std::string address;
    try {
        const Identity who = read_identity(directory);
        life = life_of(who);
        if (life == Life::running) pid = who.pid, address = who.address;
    } catch (const Error& e) {
        if (e.code() != Code::not_found && e.code() != Code::corrupt && e.code() != Code::limit) throw;
    }
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> w(buffer);
    w.StartObject();
    w.Key("ociVersion"), w.String("1.0.2");
    w.Key("id"), w.String(name_of(directory));
    w.Key("status"), w.String(life == Life::dead ? "stopped" : "running");
    w.Key("pid"), w.Int(pid);
    w.Key("bundle"), w.String(directory);
    if (!address.empty()) {
        w.Key("annotations"), w.StartObject();
        w.Key("singularity.ip"), w.String(address);
        w.EndObject();
    }
    w.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

void forget_instance(const std::string& directory) {
    try {
        const Identity who = read_identity(directory);
        if (life_of(who) != Life::dead) throw Error(Code::invalid, "the instance '" + name_of(directory) + "' is running", "stop it first");
        remove_groups(who.groups);
        finish_network(who.network);
    } catch (const Error& e) {
        if (e.code() == Code::invalid) throw;  // all else is no reason to keep it
    }
    remove_identity(directory);
}

}  // namespace launcher
