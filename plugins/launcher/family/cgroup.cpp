#include "family/cgroup.hpp"

#include <dirent.h>
#include <poll.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <sstream>

#include "family/system.hpp"

namespace launcher {
namespace {

const singularity::Host host;

std::string device_line(const DeviceRate& d, const std::string& value) { return std::to_string(d.major) + ":" + std::to_string(d.minor) + " " + value; }

bool is_directory(const std::string& path) {
    struct stat s;
    return ::stat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode);
}

// A tree of groups as it is mounted here.
struct Tree {
    std::string mounted;  // where
    std::string root;     // which group that is
    std::set<std::string> controllers;
    bool v2 = false;
};

std::set<std::string> words(const std::string& text, char divider) {
    std::set<std::string> out;
    std::istringstream in(text);
    for (std::string word; std::getline(in, word, divider);) {
        while (!word.empty() && word.back() == '\n') word.pop_back();
        if (!word.empty()) out.insert(word);
    }
    return out;
}

std::string content(const std::string& path) {
    try {
        return read_file(AT_FDCWD, path, 1u << 20);
    } catch (const Error&) {
        return {};
    }
}

// proc(5), "mountinfo": fields 4 and 5, and behind " - " the type, the source and the options.
std::vector<Tree> trees(const std::string& mountinfo) {
    std::vector<Tree> out;
    std::istringstream in(content(mountinfo));
    for (std::string line; std::getline(in, line);) {
        const size_t dash = line.find(" - cgroup");
        if (dash == std::string::npos) continue;
        std::istringstream front(line), back(line.substr(dash + 3));
        std::string skip, type, source, options;
        Tree t;
        front >> skip >> skip >> skip >> t.root >> t.mounted;
        back >> type >> source >> options;
        t.v2 = type == "cgroup2";
        t.controllers = t.v2 ? words(content(t.mounted + "/cgroup.controllers"), ' ') : words(options, ',');
        out.push_back(std::move(t));
    }
    return out;
}

// The path of this process' group for a controller ("" = version 2), below the mount.
std::string own_group(const std::string& file, const std::string& controller, const Tree& tree) {
    std::istringstream in(content(file));
    for (std::string line; std::getline(in, line);) {
        const size_t one = line.find(':'), two = line.find(':', one + 1);
        if (one == std::string::npos || two == std::string::npos) continue;
        const std::string list = line.substr(one + 1, two - one - 1);
        if (tree.v2 ? !list.empty() : !words(list, ',').contains(controller)) continue;
        std::string path = line.substr(two + 1);
        if (tree.root != "/" && path.compare(0, tree.root.size(), tree.root) == 0) path.erase(0, tree.root.size());
        if (path == "/") path.clear();
        // In a container with the host's names for groups, what is named may not be there.
        return is_directory(tree.mounted + path) ? path : std::string();
    }
    return {};
}

// systemd runs, and numbers processes as this PID namespace does.
bool has_systemd(const GroupPlaces& places) {
    return is_directory(places.systemd) && content(places.proc + "/1/comm") == "systemd\n";
}

// A group that somebody else than the user's service manager handed to this user, as a batch system does for a job.
bool is_handed_over(const GroupPlaces& places, const Tree& v2) {
    const std::string own = own_group(places.own, "", v2);
    return ::geteuid() != 0 && own.find("/user@") == own.npos &&
           ::access((v2.mounted + own + "/cgroup.procs").c_str(), W_OK) == 0;
}

// The reason of a failure as errno, 0 when it was written.
int try_write(const std::string& path, const std::string& value) {
    Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return fd && ::write(fd.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size()) ? 0 : errno;
}

// Empty when it was written; else why not.
std::string write_value(const std::string& path, const std::string& value) {
    const int reason = try_write(path, value);
    return reason == 0 ? std::string() : path + ": " + std::strerror(reason);
}

void write_all(const std::string& directory, const std::vector<GroupWrite>& writes, const std::string& controller) {
    for (const auto& w : writes) {
        if (!controller.empty() && w.controller != controller) continue;
        const std::string path = directory + "/" + w.file;
        const int reason = try_write(path, w.value);
        if (reason == 0 || w.optional) continue;
        throw system_error(reason, "cannot set the limit " + w.file + " to " + w.value + " in", path,
                           reason == ENOENT || reason == EACCES ? "this kernel or this control group has no such limit"
                           : reason == EINVAL || reason == ERANGE ? "the kernel does not take this value" : "");
    }
}

// A group with a cpuset has no processors and no memory of its own accord: those of the group above.
void inherit_cpuset(const std::string& directory) {
    for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
        const std::string above = content(parent_path(directory) + "/" + file);
        if (content(directory + "/" + file).find_first_not_of(" \n") == std::string::npos && !above.empty())
            (void)write_value(directory + "/" + file, above);
    }
}

// The number of a process is its own in its PID namespace alone.
std::string unused_name() {
    struct stat s;
    return "singularity-" + std::to_string(::getpid()) + (::stat("/proc/self/ns/pid", &s) == 0 ? "-" + std::to_string(s.st_ino) : "");
}

// Groups of containers that left processes behind, which have ended since. Young ones may be about to be entered.
void sweep(const std::string& directory) {
    DIR* dir = ::opendir(directory.c_str());
    if (!dir) return;
    while (const dirent* e = ::readdir(dir)) {
        struct stat s;
        if (std::string_view(e->d_name).starts_with("singularity-") && ::fstatat(::dirfd(dir), e->d_name, &s, 0) == 0 && s.st_ctime < ::time(nullptr) - 60)
            (void)::unlinkat(::dirfd(dir), e->d_name, AT_REMOVEDIR);  // refused while somebody is in it
    }
    ::closedir(dir);
}

void make_group(const std::string& path, const std::string& controllers) {
    sweep(parent_path(path));
    if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return;
    const int reason = errno;
    throw Error(Code::permission, "cannot limit " + controllers + ": the control group " + parent_path(path) + " is not ours to divide: " + std::strerror(reason),
                "control groups of version 1 are root's; users need version 2 and a delegated group, as systemd gives each of them ('loginctl', user@.service)");
}

std::string joined(const std::set<std::string>& texts) {
    std::string out;
    for (const auto& t : texts) out += (out.empty() ? "" : ", ") + t;
    return out;
}

// The status of a program that prints nothing; 127: it is not there.
int run_program(const std::vector<std::string>& command) {
    std::vector<char*> argv;
    std::vector<std::string> texts = command;
    for (auto& t : texts) argv.push_back(t.data());
    argv.push_back(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        const int null = ::open("/dev/null", O_RDWR);
        ::dup2(null, 0);
        ::dup2(null, 1);
        ::dup2(null, 2);
        ::execvp(argv[0], argv.data());
        ::_exit(127);
    }
    int status = 0;
    while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

// A call of the service manager whose groups this user has, by systemd's own tool: no library is needed for it.
int call_systemd(const std::string& method, const std::string& signature, const std::vector<std::string>& values) {
    std::vector<std::string> command = {"busctl"};
    if (::geteuid() != 0) command.emplace_back("--user");
    for (const char* word : {"--quiet", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                             "org.freedesktop.systemd1.Manager"})
        command.emplace_back(word);
    command.push_back(method);
    command.push_back(signature);
    // A batch job has no session's environment; where the user lingers, his manager is there all the same
    // (pam_systemd(8)).
    if (const std::string runtime = "/run/user/" + std::to_string(::geteuid());
        ::geteuid() != 0 && !::getenv("DBUS_SESSION_BUS_ADDRESS") && !::getenv("XDG_RUNTIME_DIR"))
        command.insert(command.begin(), {"env", "XDG_RUNTIME_DIR=" + runtime});
    command.insert(command.end(), values.begin(), values.end());
    return run_program(command);
}

}  // namespace

std::vector<GroupWrite> writes_v1(const Resources& r) {
    std::vector<GroupWrite> out;
    const auto add = [&](const char* controller, const char* file, std::string value, bool optional = false) {
        out.push_back({controller, file, std::move(value), optional});
    };
    if (!r.cpus.empty()) add("cpuset", "cpuset.cpus", r.cpus);
    if (!r.mems.empty()) add("cpuset", "cpuset.mems", r.mems);
    if (r.cpu_shares) add("cpu", "cpu.shares", std::to_string(*r.cpu_shares));
    if (r.cpu_period) add("cpu", "cpu.cfs_period_us", std::to_string(*r.cpu_period));
    if (r.cpu_quota) add("cpu", "cpu.cfs_quota_us", std::to_string(*r.cpu_quota));
    if (r.memory) add("memory", "memory.limit_in_bytes", std::to_string(*r.memory));
    if (r.memory_reservation) add("memory", "memory.soft_limit_in_bytes", std::to_string(*r.memory_reservation));
    if (r.memory_swap) add("memory", "memory.memsw.limit_in_bytes", std::to_string(*r.memory_swap));
    if (r.oom_kill_disable) add("memory", "memory.oom_control", "1");
    if (r.pids) add("pids", "pids.max", *r.pids > 0 ? std::to_string(*r.pids) : "max");
    if (r.io_weight) {
        // The name depends on the scheduler.
        add("blkio", "blkio.bfq.weight", std::to_string(*r.io_weight), true);
        add("blkio", "blkio.weight", std::to_string(*r.io_weight), true);
    }
    for (const auto& d : r.io_weights) add("blkio", "blkio.weight_device", device_line(d, std::to_string(d.value)));
    for (const auto& d : r.read_bytes) add("blkio", "blkio.throttle.read_bps_device", device_line(d, std::to_string(d.value)));
    for (const auto& d : r.write_bytes) add("blkio", "blkio.throttle.write_bps_device", device_line(d, std::to_string(d.value)));
    for (const auto& d : r.read_operations) add("blkio", "blkio.throttle.read_iops_device", device_line(d, std::to_string(d.value)));
    for (const auto& d : r.write_operations) add("blkio", "blkio.throttle.write_iops_device", device_line(d, std::to_string(d.value)));
    for (const auto& d : r.devices)
        add("devices", d.allow ? "devices.allow" : "devices.deny", d.type == "a" ? "a" : d.type + " " + d.major + ":" + d.minor + " " + d.access);
    return out;
}

std::vector<GroupWrite> writes_v2(const Resources& r) {
    std::vector<GroupWrite> out;
    const auto add = [&](const char* controller, std::string file, std::string value, bool optional = false) {
        out.push_back({controller, std::move(file), std::move(value), optional});
    };
    if (!r.devices.empty())
        throw Error(Code::unsupported, "rules for devices need control groups of version 1 here", "--contain gives a container a /dev with few devices");
    if (r.oom_kill_disable) throw Error(Code::unsupported, "control groups of version 2 cannot stop instead of killing when the memory is used up (--oom-kill-disable)");
    if (!r.cpus.empty()) add("cpuset", "cpuset.cpus", r.cpus);
    if (!r.mems.empty()) add("cpuset", "cpuset.mems", r.mems);
    // From the range of shares (2 to 262144) to that of weights (1 to 10000), as OCI runtimes do it.
    if (r.cpu_shares) add("cpu", "cpu.weight", std::to_string(1 + (*r.cpu_shares - 2) * 9999 / 262142));
    if (r.cpu_quota || r.cpu_period)
        add("cpu", "cpu.max", (r.cpu_quota && *r.cpu_quota > 0 ? std::to_string(*r.cpu_quota) : "max") + " " + std::to_string(r.cpu_period.value_or(100000)));
    if (r.memory) add("memory", "memory.max", *r.memory < 0 ? "max" : std::to_string(*r.memory));
    if (r.memory_reservation) add("memory", "memory.low", std::to_string(*r.memory_reservation));
    // Version 2 counts swap alone.
    if (r.memory_swap) add("memory", "memory.swap.max", *r.memory_swap < 0 ? "max" : std::to_string(*r.memory_swap - r.memory.value_or(0)));
    if (r.pids) add("pids", "pids.max", *r.pids > 0 ? std::to_string(*r.pids) : "max");
    const auto weight = [](uint64_t w) { return std::to_string(1 + (w - 10) * 9999 / 990); };
    if (r.io_weight) add("io", "io.weight", weight(*r.io_weight));
    for (const auto& d : r.io_weights) add("io", "io.weight", device_line(d, weight(d.value)));
    for (const auto& d : r.read_bytes) add("io", "io.max", device_line(d, "rbps=" + std::to_string(d.value)));
    for (const auto& d : r.write_bytes) add("io", "io.max", device_line(d, "wbps=" + std::to_string(d.value)));
    for (const auto& d : r.read_operations) add("io", "io.max", device_line(d, "riops=" + std::to_string(d.value)));
    for (const auto& d : r.write_operations) add("io", "io.max", device_line(d, "wiops=" + std::to_string(d.value)));
    for (const auto& [file, value] : r.unified) {
        if (file.find('/') != std::string::npos || file.find('.') == std::string::npos)
            throw Error(Code::usage, "'" + file + "' is no file of a control group");
        out.push_back({file.substr(0, file.find('.')), file, value, false});
    }
    return out;
}

ControlGroup::ControlGroup(const Resources& resources, const GroupPlaces& places) : places_(places) {
    if (!resources.any) return;
    const auto all = trees(places.mounts);
    const std::string name = places.name.empty() ? unused_name() : places.name;
    std::set<std::string> wanted;
    for (const auto& w : writes_v1(resources)) wanted.insert(w.controller);
    // Where version 1 has a controller mounted, version 2 does not have it.
    std::set<std::string> left = wanted;
    std::vector<std::pair<const Tree*, std::set<std::string>>> use;
    for (const auto& tree : all) {
        if (tree.v2) continue;
        std::set<std::string> here;
        for (const auto& c : left)
            if (tree.controllers.contains(c)) here.insert(c);
        for (const auto& c : here) left.erase(c);
        if (!here.empty()) use.emplace_back(&tree, std::move(here));
    }
    if (left.empty() && resources.unified.empty()) {
        const auto writes = writes_v1(resources);
        try {
            for (const auto& [tree, controllers] : use) {
                const std::string directory = tree->mounted + own_group(places.own, *controllers.begin(), *tree) + "/" + name;
                make_group(directory, joined(controllers));
                directories_.push_back(directory);
                if (tree->controllers.contains("cpuset")) inherit_cpuset(directory);
                for (const auto& c : controllers) write_all(directory, writes, c);
            }
        } catch (...) {
            remove();
            throw;
        }
        return;
    }
    const auto v2 = std::find_if(all.begin(), all.end(), [](const Tree& t) { return t.v2; });
    if (v2 == all.end())
        throw Error(Code::unsupported, "cannot limit " + joined(left) + ": no control groups with this controller are mounted",
                    "an administrator can mount them on /sys/fs/cgroup, or start the kernel without cgroup_disable=");
    const auto writes = writes_v2(resources);
    const bool systemd = has_systemd(places);
    if (!systemd || is_handed_over(places, *v2)) {  // what belongs to a job stays in it where that can be
        try {
            make_v2(v2->mounted, own_group(places.own, "", *v2), writes, name);
            return;
        } catch (const Error&) {
            if (!systemd) throw;
        }
    }
    scope_ = name + ".scope";
    in_scope_ = writes;
}

void ControlGroup::make_v2(const std::string& top, const std::string& own, const std::vector<GroupWrite>& writes, const std::string& name) {
    std::set<std::string> wanted;
    for (const auto& w : writes) wanted.insert(w.controller);
    std::string why;
    // The nearest group above us that hands the controllers down, or can be made to.
    for (std::string group = own;; group = group.rfind('/') == 0 || group.empty() ? std::string() : group.substr(0, group.rfind('/'))) {
        const std::string directory = top + group;
        const auto available = words(content(directory + "/cgroup.controllers"), ' '), given = words(content(directory + "/cgroup.subtree_control"), ' ');
        std::set<std::string> lacking, missing;
        for (const auto& c : wanted) {
            if (!available.contains(c)) lacking.insert(c);
            if (!given.contains(c)) missing.insert(c);
        }
        std::string failure;
        if (!lacking.empty()) {
            failure = directory + " has no controller " + joined(lacking);
        } else {
            for (const auto& c : missing)
                if (failure.empty()) failure = write_value(directory + "/cgroup.subtree_control", "+" + c);
            if (failure.empty()) sweep(directory);
            if (failure.empty() && ::mkdir((directory + "/" + name).c_str(), 0755) != 0 && errno != EEXIST) failure = directory + ": " + std::strerror(errno);
            if (failure.empty()) {
                directories_.push_back(directory + "/" + name);
                try {
                    write_all(directories_.back(), writes, {});
                } catch (...) {
                    remove();
                    throw;
                }
                return;
            }
        }
        if (why.empty()) why = failure;
        if (group.empty()) break;
    }
    throw Error(Code::permission, "cannot limit " + joined(wanted) + ": no control group here can be divided: " + why,
                "a user needs a group of his own, as systemd gives it (user@.service with Delegate=), or a batch system that does");
}

void ControlGroup::enter() {
    if (!scope_.empty()) enter_scope();
    for (const auto& directory : directories_) {
        const std::string why = write_value(directory + "/cgroup.procs", std::to_string(::getpid()));
        if (!why.empty())
            throw Error(Code::permission, "cannot move the container to its control group: " + why,
                        "the group that this process comes from must belong to the same user; 'systemd-run --user --scope' makes one");
    }
}

// systemd makes a group for this process and takes it away when that is empty.
void ControlGroup::enter_scope() {
    const int code = call_systemd("StartTransientUnit", "ssa(sv)a(sa(sv))",
                                  {scope_, "fail", "3", "PIDs", "au", "1", std::to_string(::getpid()), "Delegate", "b",
                                   "true", "Description", "s", "singularity container", "0"});
    if (code != 0)
        throw Error(Code::permission,
                    "cannot get a control group from systemd" + std::string(code == 127 ? ": there is no busctl" : ""),
                    ::geteuid() == 0 ? "'systemctl status' tells about the service manager"
                                     : "it needs the user's own service manager, as a login starts it; for batch jobs "
                                       "an administrator runs 'loginctl enable-linger USER'");
    // The answer to the call comes before the process is moved.
    for (int i = 0; i < 500; ++i) {
        for (const auto& tree : trees(places_.mounts)) {
            if (!tree.v2) continue;
            const std::string own = own_group(places_.own, "", tree);
            if (own.size() < scope_.size() || own.compare(own.size() - scope_.size(), scope_.size(), scope_) != 0) continue;
            write_all(tree.mounted + own, in_scope_, {});
            return;
        }
        ::poll(nullptr, 0, 10);
    }
    throw Error(Code::io, "systemd did not make the control group " + scope_);
}

void ControlGroup::remove() { remove_groups(std::exchange(directories_, {})); }

void remove_groups(const std::vector<std::string>& directories) {
    for (const auto& d : directories) {
        // The kernel lets go of a process a moment after its end was told. What still runs in it keeps it: the next
        // start sweeps.
        for (int i = 0; ::rmdir(d.c_str()) != 0 && errno == EBUSY && content(d + "/cgroup.procs").empty() && i < 50; ++i) ::poll(nullptr, 0, 10);
    }
}

void enter_groups_of(pid_t pid, const GroupPlaces& places) {
    const std::string theirs = places.proc + "/" + std::to_string(pid) + "/cgroup";
    for (const auto& tree : trees(places.mounts)) {
        const std::string controller = tree.v2 || tree.controllers.empty() ? std::string() : [&] {
            for (const auto& c : tree.controllers)
                if (!own_group(theirs, c, tree).empty()) return c;
            return std::string("?");
        }();
        const std::string there = own_group(theirs, controller, tree);
        if (there.empty() || there == own_group(places.own, controller, tree)) continue;
        const std::string why = write_value(tree.mounted + there + "/cgroup.procs", std::to_string(::getpid()));
        // Out of the group of a login no user may move a process, but the service manager does it for him.
        const std::string unit = there.substr(there.rfind('/') + 1);
        if (!why.empty() && unit.ends_with(".scope") && has_systemd(places) &&
            call_systemd("AttachProcessesToUnit", "ssau", {unit, "/", "1", std::to_string(::getpid())}) == 0)
            continue;
        if (!why.empty()) host.warn("the limits of the instance do not count for this process: " + why);
    }
}

}  // namespace launcher
