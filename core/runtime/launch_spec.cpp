#include "runtime/launch_spec.hpp"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace sg::runtime {
namespace {

// Root of the machine, not of a user namespace, with the right to mount.
bool is_real_root() {
    if (::geteuid() != 0) return false;
    UniqueFd fd(::open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC));
    char text[256];
    const ssize_t n = fd ? ::read(fd.get(), text, sizeof text - 1) : -1;
    if (n <= 0) return false;
    text[n] = '\0';
    unsigned long inside = 1, outside = 1, count = 0;
    if (std::sscanf(text, "%lu %lu %lu", &inside, &outside, &count) != 3 || inside != 0 || outside != 0 || count != 4294967295ul) return false;
    return ::prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1;
}

// The caller's directory as the shell names it ($PWD keeps symbolic links), else as the kernel does.
std::string working_directory() {
    struct stat here, named;
    const char* pwd = std::getenv("PWD");
    if (pwd && pwd[0] == '/' && ::stat(".", &here) == 0 && ::stat(pwd, &named) == 0 && here.st_dev == named.st_dev && here.st_ino == named.st_ino)
        return clean_path(pwd);
    char text[PATH_MAX];
    return ::getcwd(text, sizeof text) && text[0] == '/' ? std::string(text) : std::string();
}

template <class Writer>
class Document {
public:
    explicit Document(Writer& w) : w_(w) {}

    void text(const char* key, const std::string& value) { w_.Key(key), w_.String(value); }
    void flag(const char* key, bool value) { w_.Key(key), w_.Bool(value); }
    void number(const char* key, uint64_t value) { w_.Key(key), w_.Uint64(value); }
    template <class List>
    void texts(const char* key, const List& values) {
        w_.Key(key);
        w_.StartArray();
        for (const auto& v : values) w_.String(v);
        w_.EndArray();
    }
    template <class F>
    void object(const char* key, F&& f) {
        w_.Key(key);
        w_.StartObject();
        f();
        w_.EndObject();
    }
    template <class List, class F>
    void objects(const char* key, const List& values, F&& f) {
        w_.Key(key);
        w_.StartArray();
        for (const auto& v : values) {
            w_.StartObject();
            f(v);
            w_.EndObject();
        }
        w_.EndArray();
    }
    Writer& writer() { return w_; }

private:
    Writer& w_;
};

struct Inputs {
    const LaunchOptions& options;
    const Settings& settings;
    const ImageFacts& image;
    const Machine& machine;
    const MountPlan& mounts;
    const Environment& environment;
    bool user_namespace;
};

std::vector<std::string> mount_options(const Mount& m) {
    std::vector<std::string> out;
    if (m.type == "bind" || m.type == "session" || m.type == "generated" || m.type == "dev") out.push_back(m.recursive ? "rbind" : "bind");
    if (m.no_suid) out.push_back("nosuid");
    if (m.no_dev) out.push_back("nodev");
    if (m.read_only) out.push_back("ro");
    return out;
}

template <class D>
void write_mount(D& d, const Mount& m) {
    d.text("destination", m.destination);
    d.text("type", m.type);
    if (!m.source.empty()) d.text("source", m.source);
    d.texts("options", mount_options(m));
    d.text("tag", m.tag);
    d.text("missing", m.missing);
    if (!m.content.empty()) d.text("content", m.content);
    if (!m.devices.empty()) d.texts("devices", m.devices);
    if (m.replace_link) d.flag("replaceLink", true);
    if (m.unless_same) d.flag("unlessSame", true);
    if (!m.directory) d.flag("directory", false);
    if (!m.create) d.flag("create", false);
    if (m.type == "session") d.number("mode", m.mode);
}

template <class D>
void write_process(D& d, const Inputs& in) {
    d.object("process", [&] {
        d.flag("terminal", false);
        d.object("user", [&] {
            d.number("uid", in.machine.user.uid);
            d.number("gid", in.machine.user.gid);
            auto& w = d.writer();
            w.Key("additionalGids");
            w.StartArray();
            for (const uint32_t gid : in.machine.user.group_ids) w.Uint(gid);
            w.EndArray();
        });
        // For launchers that know nothing of "action": the script that each image brings for it.
        std::vector<std::string> args = {"/.singularity.d/actions/" + in.options.action};
        args.insert(args.end(), in.options.arguments.begin(), in.options.arguments.end());
        d.texts("args", args);
        d.texts("env", in.environment.host);
        d.text("cwd", in.mounts.cwd);
        const bool unprivileged = in.machine.user.uid != 0 || in.options.no_privileges;
        d.flag("noNewPrivileges", unprivileged);
        if (unprivileged)
            d.object("capabilities", [&] {
                for (const char* set : {"bounding", "effective", "inheritable", "permitted", "ambient"}) d.texts(set, std::vector<std::string>());
            });
    });
}

template <class D>
void write_linux(D& d, const Inputs& in) {
    std::vector<std::string> namespaces = {"mount"};
    if (in.user_namespace) namespaces.insert(namespaces.begin(), "user");
    if (in.options.pid) namespaces.push_back("pid");
    if (in.options.ipc) namespaces.push_back("ipc");
    if (in.options.uts || !in.options.hostname.empty()) namespaces.push_back("uts");
    if (in.options.net) namespaces.push_back("network");
    d.object("linux", [&] {
        d.objects("namespaces", namespaces, [&](const std::string& type) { d.text("type", type); });
        if (in.user_namespace) {
            const auto mapping = [&](const char* key, uint32_t id) {
                d.objects(key, std::vector<uint32_t>{id}, [&](uint32_t one) {
                    d.number("containerID", one);
                    d.number("hostID", one);
                    d.number("size", 1);
                });
            };
            mapping("uidMappings", in.machine.user.uid);
            mapping("gidMappings", in.machine.user.gid);
        }
        d.text("rootfsPropagation", in.settings.boolean("mount.slave") ? "rslave" : "rprivate");
    });
}

std::string layer(const Inputs& in) {
    if (in.options.writable) return "none";
    if (in.options.writable_tmpfs) return "tmpfs";
    return in.settings.text("overlay.enable") == "no" ? "none" : "auto";
}

template <class D>
void write_container(D& d, const Inputs& in) {
    d.object("container", [&] {
        d.object("action", [&] {
            d.text("name", in.options.action);
            d.texts("args", in.options.arguments);
            if (!in.options.app.empty()) d.text("app", in.options.app);
            if (!in.options.shell.empty()) d.text("shell", in.options.shell);
        });
        d.object("environment", [&] {
            auto& w = d.writer();
            w.Key("overrides");
            w.StartArray();
            for (const auto& [name, value] : in.environment.overrides) {
                w.StartArray();
                w.String(name);
                w.String(value);
                w.EndArray();
            }
            w.EndArray();
            d.flag("evaluate", in.environment.evaluate);
            d.number("timeout", in.options.script_timeout);
        });
        d.object("cwd", [&] {
            d.flag("required", in.mounts.cwd_required);
            d.texts("fallback", std::vector<std::string>{in.mounts.home.destination});
        });
        d.object("session", [&] {
            d.texts("directories", in.machine.session_places);
            // Root's memory file systems are bounded by the machine's memory alone.
            d.number("bytes", in.machine.user.uid == 0 ? 0 : static_cast<uint64_t>(in.settings.integer("session.size")) << 20);
        });
        d.text("layer", layer(in));
        d.flag("init", !in.options.no_init);
        d.object("identity", [&] {
            const User& u = in.machine.user;
            d.object("user", [&] {
                d.text("name", u.name);
                d.number("uid", u.uid);
                d.number("gid", u.gid);
                d.text("gecos", u.gecos);
                d.text("home", in.mounts.home.destination);
                d.text("shell", u.shell);
            });
            d.objects("groups", u.groups, [&](const Group& g) {
                d.text("name", g.name);
                d.number("gid", g.gid);
            });
        });
    });
}

template <class D>
void write_origin(D& d, const Inputs& in) {
    d.object("origin", [&] {
        for (const char* key : {"mount.proc", "mount.sys", "mount.dev", "mount.home", "mount.tmp", "mount.hostfs", "mount.slave", "bind.paths",
                                "bind.user", "files.passwd", "files.group", "files.resolv_conf", "session.size", "overlay.enable"})
            d.text(key, in.settings.origin(key).where);
        for (const auto& [setting, where] : in.options.origins) d.text(setting.c_str(), where);
    });
}

template <class Writer>
void write(Writer& w, const Inputs& in) {
    Document<Writer> d(w);
    w.StartObject();
    d.text("launchSpecVersion", "1.0");
    d.text("ociVersion", "1.0.2");
    write_process(d, in);
    d.object("root", [&] {
        d.text("path", "rootfs");
        d.flag("readonly", !in.options.writable);
    });
    if (!in.options.hostname.empty()) d.text("hostname", in.options.hostname);
    d.objects("mounts", in.mounts.mounts, [&](const Mount& m) { write_mount(d, m); });
    write_linux(d, in);
    d.objects("images", std::vector<const ImageFacts*>{&in.image}, [&](const ImageFacts* i) {
        d.text("role", "root");
        d.text("type", i->plan.type);
        d.text("path", i->plan.path);
        d.number("offset", i->plan.offset);
        d.number("size", i->plan.size);
        d.flag("writable", i->plan.writable != 0);
        d.text("arch", i->arch);
    });
    write_container(d, in);
    write_origin(d, in);
    w.EndObject();
}

}  // namespace

Machine this_machine(const std::string& prefix, const std::string& plugin_directory) {
    Machine m;
    m.user = current_user();
    m.cwd = working_directory();
    m.root = is_real_root();
    // Any directory serves: what it holds is hidden in the container's own mount namespace only, and nothing
    // is ever made on disk. One that nobody binds is best.
    m.session_places = {prefix + "/var/singularity/mnt/session", "/var/lib/singularity/mnt/session", "/var/singularity/mnt/session"};
    if (!plugin_directory.empty()) m.session_places.push_back(plugin_directory);
    m.session_places.insert(m.session_places.end(), {"/mnt", "/media", "/srv", "/opt"});
    m.environment = ::environ;
    return m;
}

LaunchSpec make_launch_spec(const LaunchOptions& options, const Settings& settings, const ImageFacts& image, const Machine& machine, bool pretty) {
    if (options.writable && !image.plan.writable)
        throw Error(Code::unsupported, "--writable: " + image.path + " cannot be written to",
                    "make a writable directory of it with 'singularity build --sandbox DIR IMAGE'");
    const bool user_namespace = options.user_namespace || !machine.root;
    MountFacts facts{machine.user, machine.cwd, user_namespace, machine.user.uid};
    MountPlan plan = plan_mounts(options, settings, facts);
    EnvironmentFacts known{image.path, plan.home.destination, {}};
    for (const auto& m : plan.mounts)
        if (m.tag == "userbinds") known.bind_destinations.push_back(m.destination);
    const Environment environment = container_environment(options, known, machine.environment);
    LaunchSpec out;
    out.child = options.pid;
    out.warnings = plan.warnings;
    out.warnings.insert(out.warnings.end(), environment.warnings.begin(), environment.warnings.end());
    if (options.writable && options.writable_tmpfs) out.warnings.push_back("Ignoring --writable-tmpfs, as --writable is given");
    const Inputs in{options, settings, image, machine, plan, environment, user_namespace};
    rapidjson::StringBuffer buffer;
    if (pretty) {
        rapidjson::PrettyWriter<rapidjson::StringBuffer> w(buffer);
        w.SetIndent(' ', 4);
        write(w, in);
    } else {
        rapidjson::Writer<rapidjson::StringBuffer> w(buffer);
        write(w, in);
    }
    out.json.assign(buffer.GetString(), buffer.GetSize());
    return out;
}

}  // namespace sg::runtime
