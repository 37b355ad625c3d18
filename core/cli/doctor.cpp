// singularity doctor: what this machine and this account can do, and what to change where something is missing.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/seccomp_notification.hpp"
#include "cli/doctor_probes.hpp"
#include "cli/json_writer.hpp"
#include "cli/print.hpp"
#include "cli/verbs.hpp"
#include "config/home.hpp"
#include "runtime/gpu.hpp"
#include "runtime/launch_spec.hpp"
#include "runtime/library_cache.hpp"
#include "runtime/id_map_trial.hpp"

namespace sg {

namespace {

enum class State { ok, limited, missing, unused };

const char* word(State s) {
    switch (s) {
        case State::ok: return "ok";
        case State::limited: return "limited";
        case State::missing: return "missing";
        case State::unused: break;
    }
    return "not needed";
}

struct Check {
    std::string name;
    State state = State::ok;
    std::string finding;  // one sentence
    std::string cure;     // a command or a setting; "" = nothing to do
};

struct Verdict {
    bool run_files = true, run_directories = true, build = true;
    bool all() const { return run_files && run_directories && build; }
};

bool exists(const std::string& path) {
    struct stat s;
    return ::stat(path.c_str(), &s) == 0;
}

std::string size_text(unsigned long long bytes) {
    const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    auto n = static_cast<double>(bytes);
    for (; n >= 1024 && unit < 5; ++unit) n /= 1024;
    char text[64];
    std::snprintf(text, sizeof text, "%.3g %s", n, units[unit]);
    return text;
}

class Doctor {
public:
    explicit Doctor(Session& session)
        : session_(session), machine_(runtime::this_machine(session.installation.prefix, session.installation.plugin_dir)) {}

    void look() {
        account();
        mount_namespaces();
        user_namespaces();
        fuse();
        loop_devices();
        overlay();
        subordinate_ids();
        owners();
        control_groups();
        gpus();
        cache();
        temporary();
        proxies();
        registries();
    }

    const std::vector<Check>& checks() const { return checks_; }
    const Verdict& verdict() const { return verdict_; }

private:
    Check& add(std::string name, State state, std::string finding, std::string cure = {}) {
        return checks_.emplace_back(Check{std::move(name), state, std::move(finding), std::move(cure)});
    }

    void account() {
        const runtime::User& u = machine_.user;
        add("account", State::ok, machine_.root ? u.name + ": root, who uses the kernel's own mounts" : u.name + " (uid " + std::to_string(u.uid) + "), who uses user namespaces and FUSE");
    }

    // Root's alone: ordinary users make theirs in user namespaces. Told only where they are missing, as they are
    // everywhere.
    void mount_namespaces() {
        if (!machine_.root) return;
        const Trial t = try_mount_namespace();
        if (t.worked()) return;
        add("mount namespaces", State::missing, "no container can be run: " + t.told(),
            t.reason == EINVAL
                ? "this root directory (of a chroot) must be a mount point: mount --bind DIR DIR before chroot DIR"
                : "whoever started this environment must leave root CAP_SYS_ADMIN: docker run --privileged");
        verdict_.run_files = verdict_.run_directories = false;
    }

    // In the order of how often each is the reason.
    std::string user_namespace_cure(int reason) const {
        if (line_of("/proc/sys/kernel/unprivileged_userns_clone") == "0") return "sysctl -w kernel.unprivileged_userns_clone=1";
        if (line_of("/proc/sys/user/max_user_namespaces") == "0") return "sysctl -w user.max_user_namespaces=15000";
        if (line_of("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1")
            return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for " + session_.installation.executable + " with 'userns,'";
        if (reason == ENOSPC) return "raise the limit that is used up: sysctl -w user.max_user_namespaces=15000";
        if (reason == EINVAL) return "a kernel with CONFIG_USER_NS";
        return "whoever started this environment (container, chroot, seccomp filter) must allow them: docker run --security-opt seccomp=unconfined";
    }

    void user_namespaces() {
        const Trial t = try_user_namespace();
        namespaces_ = t.worked();
        const std::string limit = line_of("/proc/sys/user/max_user_namespaces");
        if (namespaces_)
            add("user namespaces", State::ok, "they can be made" + (limit.empty() ? "" : ", at most " + limit + " at a time"));
        else if (machine_.root)
            add("user namespaces", State::unused, "they cannot be made (" + t.told() + "); root needs them for --userns alone", user_namespace_cure(t.reason));
        else {
            add("user namespaces", State::missing, "no container can be run: " + t.told(), user_namespace_cure(t.reason));
            verdict_.run_files = verdict_.run_directories = false;
        }
    }

    void fuse() {
        const bool own = !machine_.root;
        if (own && !namespaces_) {
            add("FUSE", State::missing, "it cannot be tried without user namespaces");
            return;
        }
        const Trial t = try_fuse(own);
        fuse_ = t.worked();
        if (fuse_) {
            add("FUSE", State::ok, "image files can be mounted by FUSE");
            return;
        }
        std::string cure;
        struct stat s;
        if (::stat("/dev/fuse", &s) != 0)
            cure = "modprobe fuse; in a container around: docker run --device /dev/fuse";
        else if ((s.st_mode & 06) != 06)
            cure = "chmod 0666 /dev/fuse (for good by a udev rule: KERNEL==\"fuse\", MODE=\"0666\")";
        else if (t.step.starts_with("opening"))
            cure = "the device rules of a control group or a security module forbid it: the batch system or docker run --device /dev/fuse must allow it";
        else
            cure = "Linux 4.18 or later, and no security module that forbids mounts in user namespaces";
        if (machine_.root) {
            add("FUSE", State::unused, "it cannot be used (" + t.told() + "); root needs it for image files that the kernel cannot mount", cure);
            return;
        }
        add("FUSE", State::missing, "image files cannot be mounted: " + t.told() + "; directories can be run: singularity build --sandbox DIR IMAGE", cure);
        verdict_.run_files = false;
    }

    void loop_devices() {
        if (!machine_.root) {
            add("loop devices", State::unused, "they are root's");
            return;
        }
        const Trial t = try_loop_device();
        std::ifstream table("/proc/filesystems");
        std::stringstream known;
        known << table.rdbuf();
        const bool squashfs = known.str().find("\tsquashfs\n") != std::string::npos;
        if (t.worked()) {
            add("loop devices", State::ok, squashfs ? "the kernel mounts image files" : "there are some; squashfs is not loaded: it is on the first mount, or FUSE is used");
        } else if (fuse_) {
            add("loop devices", State::limited, "FUSE is used in their place: " + t.told(), "modprobe loop");
        } else {
            add("loop devices", State::missing, "image files cannot be mounted: " + t.told(), "modprobe loop");
            verdict_.run_files = false;
        }
    }

    void overlay() {
        const bool own = !machine_.root;
        if (own && !namespaces_) {
            add("overlay", State::missing, "it cannot be tried without user namespaces");
            return;
        }
        const Trial t = try_overlay(own, machine_.session_places);
        if (t.worked())
            add("overlay", State::ok, "--writable-tmpfs, --overlay and builds with %post need no copy of the image");
        else if (t.reason == EPERM && fuse_ && !find_program("fuse-overlayfs").empty())  // kernels before 5.11
            add("overlay", State::ok, "by fuse-overlayfs, as the kernel makes none here: " + t.told());
        else
            add("overlay", State::limited, "--writable-tmpfs and --overlay cannot work, builds with %post unpack the image: " + t.told(),
                t.reason == ENODEV ? "modprobe overlay" : own ? "Linux 5.11 or later with the module overlay, or apt-get install fuse-overlayfs" : "modprobe overlay");
    }

    // "name:start:count" or "uid:start:count" (subuid(5)).
    unsigned long long ids_in(const char* path) const {
        std::ifstream file(path);
        unsigned long long best = 0;
        for (std::string line; std::getline(file, line);) {
            const size_t one = line.find(':'), two = line.find(':', one + 1);
            if (one == std::string::npos || two == std::string::npos) continue;
            const std::string who = line.substr(0, one);
            if (who == machine_.user.name || who == std::to_string(machine_.user.uid)) best = std::max(best, std::strtoull(line.c_str() + two + 1, nullptr, 10));
        }
        return best;
    }

    std::string find_program(const std::string& name) const {
        const char* path = std::getenv("PATH");
        std::istringstream in(std::string(path ? path : "") + ":/usr/bin:/usr/local/bin");
        for (std::string directory; std::getline(in, directory, ':');)
            if (!directory.empty() && ::access((directory + "/" + name).c_str(), X_OK) == 0) return directory + "/" + name;
        return {};
    }

    void subordinate_ids() {
        if (machine_.root) {
            add("subordinate ids", State::unused, "root has all ids");
            return;
        }
        const auto uids = ids_in("/etc/subuid"), gids = ids_in("/etc/subgid");
        const std::string name = machine_.user.name;
        const auto ranges = runtime::subordinate_ids(name, machine_.user.uid);
        if (!ranges)
            add("subordinate ids", State::limited, "--fakeroot maps root alone, as " + std::string(uids < 65536 ? "/etc/subuid" : "/etc/subgid") + " has no 65536 ids for " + name,
                "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 " + name + " (ranges that nobody else has)");
        else if (find_program("newuidmap").empty() || find_program("newgidmap").empty())
            add("subordinate ids", State::limited, "--fakeroot maps root alone, as newuidmap and newgidmap are not there", "apt-get install uidmap, or dnf install shadow-utils-subid");
        else if (!namespaces_)
            add("subordinate ids", State::limited, "there are no user namespaces to map them in");
        else
            map_subordinate_ids(
                *ranges, std::to_string(uids) + " user ids and " + std::to_string(gids) + " group ids for --fakeroot");
    }

    void map_subordinate_ids(const runtime::SubordinateIds& ids, const std::string& which) {
        const std::string newuidmap = find_program("newuidmap"), newgidmap = find_program("newgidmap");
        const auto t = runtime::try_subordinate_ids(newuidmap, newgidmap, ids);
        if (t.worked()) {
            add("subordinate ids", State::ok, which);
            subordinate_ = true;
            return;
        }
        const runtime::Withheld withheld = runtime::rights_withheld(t.program);
        add("subordinate ids", State::limited,
            "there are " + which +
                ", but they cannot be mapped: " + (!withheld.why.empty() ? withheld.why : t.said.empty() ? t.program + " fails" : t.said),
            withheld.cure.empty() ? "look at what it says: unshare -U sleep 60 & " + t.program + " $! 0 " +
                                        std::to_string((t.program == newuidmap ? ids.uids : ids.gids).start) + " 65536"
                                  : withheld.cure);
    }

    // Which of three ways a build's %post gives files to others.
    void owners() {
        const std::string name = "owners in builds";
        if (machine_.root)
            add(name, State::ok, "set by %post, as root");
        else if (!namespaces_)
            add(name, State::missing, "%post cannot run without user namespaces");
        else if (subordinate_)
            add(name, State::ok, "set by %post, with subordinate ids");
        else if (const std::string why = no_seccomp_notification(); why.empty())
            add(name, State::ok, "recorded while %post runs, as there are no subordinate ids that can be mapped");
        else
            add(name, State::limited, "what %post makes belongs to root: there are no subordinate ids, and " + why,
                "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 " + machine_.user.name + " (ranges that nobody else has)");
    }

    void control_groups() {
        const std::string controllers = line_of("/sys/fs/cgroup/cgroup.controllers");
        if (!controllers.empty()) {
            std::string own = line_of("/proc/self/cgroup");
            own = own.substr(std::min(own.find("::") + 2, own.size()));
            const bool systemd =
                exists("/run/systemd/system") &&
                (machine_.root || std::getenv("DBUS_SESSION_BUS_ADDRESS") || std::getenv("XDG_RUNTIME_DIR") ||
                 exists("/run/user/" + std::to_string(machine_.user.uid) + "/bus"));
            const bool ours = ::access(("/sys/fs/cgroup" + own + "/cgroup.procs").c_str(), W_OK) == 0;
            if (systemd || ours)
                add("control groups", State::ok, "version 2, with " + controllers + (systemd ? ", by systemd" : ""));
            else
                add("control groups", State::limited, "--memory, --cpus and --apply-cgroups cannot work: the group " + own + " belongs to somebody else",
                    "a login with systemd (loginctl enable-linger " + machine_.user.name + "), or a batch system that delegates the job's group");
            return;
        }
        if (exists("/sys/fs/cgroup/memory")) {
            const bool writable = ::access("/sys/fs/cgroup/memory", W_OK) == 0;
            if (machine_.root && writable)
                add("control groups", State::ok, "version 1");
            else
                add("control groups", State::limited, machine_.root ? "--memory, --cpus and --apply-cgroups cannot work: /sys/fs/cgroup is read-only" : "--memory, --cpus and --apply-cgroups are root's with version 1",
                    "version 2: start the kernel with systemd.unified_cgroup_hierarchy=1");
            return;
        }
        add("control groups", State::limited, "--memory, --cpus and --apply-cgroups cannot work: none are mounted", "mount -t cgroup2 none /sys/fs/cgroup");
    }

    void gpus() {
        runtime::HostFiles nv, amd;
        runtime::GpuHost host;
        runtime::find_nvidia_devices({}, host, nv);
        runtime::find_amd_devices(host, amd);
        bool driver = false;
        try {
            for (const auto& l : runtime::read_library_cache(host.library_cache)) driver = driver || l.name.starts_with("libcuda.so");
        } catch (const Error& e) {
            add("GPUs", State::limited, e.message(), e.hint());
            return;
        }
        const bool kfd = exists("/dev/kfd");
        if (!nv.devices.empty() && driver)
            add("GPUs", State::ok, "NVIDIA, " + std::to_string(nv.devices.size()) + " devices: --nv");
        else if (!nv.devices.empty())
            add("GPUs", State::limited, "there are NVIDIA devices, and libcuda.so is not in the cache of libraries", "ldconfig, with the driver's directory in /etc/ld.so.conf.d");
        if (kfd) add("GPUs", State::ok, "AMD: --rocm");
        if (nv.devices.empty() && !kfd) add("GPUs", State::unused, "none is there");
    }

    std::string cache_directory() const {
        const std::string set = session_.settings.text("cachedir");
        if (!set.empty()) return set + "/cache";
        const Home home = Home::find();
        return home.config.empty() ? std::string() : home.config + "/cache";
    }

    void cache() {
        if (session_.settings.boolean("cache.disable")) {
            add("cache", State::limited, "it is off: every start of a URI fetches and converts it", "cache.disable: no (" + session_.settings.origin("cache.disable").where + ")");
            return;
        }
        const std::string path = cache_directory();
        if (path.empty()) {
            add("cache", State::missing, "there is no home directory for it", "export SINGULARITY_CACHEDIR=DIRECTORY");
            verdict_.build = false;
            return;
        }
        const Place p = look_at_place(path);
        const std::string where = path + (p.file_system.empty() ? "" : " on " + p.file_system) + ", " + size_text(p.free_bytes) + " free";
        if (!p.writable) {
            add("cache", State::missing, path + " cannot be written", "export SINGULARITY_CACHEDIR=DIRECTORY");
            verdict_.build = false;
        } else if (p.free_bytes < 1ull << 30) {
            add("cache", State::limited, where, "singularity cache clean, or export SINGULARITY_CACHEDIR=DIRECTORY with more room");
        } else {
            add("cache", State::ok, where + (p.remote ? " (shared by nodes)" : ""));
        }
    }

    void temporary() {
        const std::string set = session_.settings.text("tmpdir");
        const std::string path = set.empty() ? "/tmp" : set;
        const Place p = look_at_place(path);
        const std::string where = path + (p.file_system.empty() ? "" : " on " + p.file_system) + ", " + size_text(p.free_bytes) + " free";
        if (!p.writable) {
            add("temporary files", State::missing, path + " cannot be written", "export SINGULARITY_TMPDIR=DIRECTORY");
            verdict_.build = false;
        } else if (p.free_bytes < 1ull << 30) {
            add("temporary files", State::limited, where, "export SINGULARITY_TMPDIR=DIRECTORY with more room");
        } else {
            add("temporary files", State::ok, where);
        }
    }

    // Without the user and password that some have in them.
    static std::string without_credentials(const std::string& url) {
        const size_t at = url.rfind('@');
        const size_t scheme = url.find("://");
        if (at == std::string::npos) return url;
        return (scheme == std::string::npos ? "" : url.substr(0, scheme + 3)) + "***" + url.substr(at);
    }

    void proxies() {
        std::string found;
        for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})
            if (const char* value = std::getenv(name); value && *value) found += (found.empty() ? "" : ", ") + std::string(name) + "=" + without_credentials(value);
        if (found.empty())
            add("proxies", State::unused, "none is set");
        else
            add("proxies", State::ok, found);
    }

    void registries() {
        std::vector<std::string> paths;
        if (const char* set = std::getenv("CONTAINERS_REGISTRIES_CONF"); set && *set) paths.emplace_back(set);
        if (const Home home = Home::find(); !home.path.empty()) paths.push_back(home.path + "/.config/containers/registries.conf");
        paths.emplace_back("/etc/containers/registries.conf");
        for (const auto& path : paths) {
            if (!exists(path)) continue;
            const bool readable = ::access(path.c_str(), R_OK) == 0;
            add("registries.conf", readable ? State::ok : State::limited, path + (readable ? "" : " cannot be read"), readable ? "" : "chmod a+r " + path);
            return;
        }
        add("registries.conf", State::unused, "none: registries are asked under their own names");
    }

    Session& session_;
    const runtime::Machine machine_;
    std::vector<Check> checks_;
    Verdict verdict_;
    bool namespaces_ = false, fuse_ = false, subordinate_ = false;
};

std::string yes_or_no(bool yes) { return yes ? "yes" : "no"; }

void print_json(const Doctor& doctor) {
    JsonWriter w;
    w.begin_object();
    w.key("run"), w.boolean(doctor.verdict().run_files);
    w.key("runDirectories"), w.boolean(doctor.verdict().run_directories);
    w.key("build"), w.boolean(doctor.verdict().build);
    w.key("checks");
    w.begin_array();
    for (const auto& c : doctor.checks()) {
        w.begin_object();
        w.member("name", c.name);
        w.member("state", word(c.state));
        w.member("finding", c.finding);
        w.member("cure", c.cure);
        w.end_object();
    }
    w.end_array();
    w.end_object();
    print(w.take());
}

void print_page(const Doctor& doctor) {
    std::string out;
    for (const auto& c : doctor.checks()) {
        std::string line = c.name;
        line.append(18 - std::min<size_t>(line.size(), 17), ' ');
        line += word(c.state);
        line.append(line.size() < 30 ? 30 - line.size() : 1, ' ');
        out += line + c.finding + "\n";
        if (!c.cure.empty()) out += std::string(30, ' ') + "-> " + c.cure + "\n";
    }
    const Verdict& v = doctor.verdict();
    out += "\nRunning image files: " + yes_or_no(v.run_files) + "\nRunning directories: " + yes_or_no(v.run_directories) + "\nBuilding images:     " + yes_or_no(v.build) + "\n";
    print(out);
}

int run(bool json, Session& session) {
    Doctor doctor(session);
    doctor.look();
    json ? print_json(doctor) : print_page(doctor);
    return doctor.verdict().all() ? 0 : 255;
}

Action declare(Arguments& arguments) {
    auto json = std::make_shared<bool>(false);
    arguments.flag("--json", *json, "Print JSON");
    arguments.examples({"singularity doctor", "singularity doctor --json"});
    return [json](Session& session) { return run(*json || session.json, session); };
}

}  // namespace

extern const Verb doctor_verb{"doctor", "About this installation", "Show what this machine lets you do, and what to change", {}, false, declare};

}  // namespace sg
