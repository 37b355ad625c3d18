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

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "runtime/identity.hpp"

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
    void raw(const char* key, const std::string& object) { w_.Key(key), w_.RawValue(object.data(), object.size(), rapidjson::kObjectType); }
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
    const Identity& identity;
};

std::vector<std::string> mount_options(const Mount& m) {
    std::vector<std::string> out;
    if (m.type == "bind" || m.type == "session" || m.type == "generated" || m.type == "dev" || m.type == "files") out.push_back(m.recursive ? "rbind" : "bind");
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
    if (!m.command.empty()) d.texts("command", m.command);
    if (m.in_container) d.flag("inContainer", true);
    if (m.daemon) d.flag("daemon", true);
    if (!m.terminals) d.flag("terminals", false);
    if (!m.sources.empty()) d.texts("sources", m.sources);
    if (m.replace_link) d.flag("replaceLink", true);
    if (m.keep_link) d.flag("keepLink", true);
    if (m.unless_same) d.flag("unlessSame", true);
    if (!m.directory) d.flag("directory", false);
    if (!m.create) d.flag("create", false);
    if (m.type == "session") d.number("mode", m.mode);
    if (m.type == "image") d.number("image", m.image);
}

template <class D>
void write_process(D& d, const Inputs& in) {
    d.object("process", [&] {
        d.flag("terminal", false);
        d.object("user", [&] {
            d.number("uid", in.identity.user.uid);
            d.number("gid", in.identity.user.gid);
            auto& w = d.writer();
            w.Key("additionalGids");
            w.StartArray();
            for (const uint32_t gid : in.identity.user.group_ids) w.Uint(gid);
            w.EndArray();
        });
        // For launchers that know nothing of "action": the script that each image brings for it.
        std::vector<std::string> args = {"/.singularity.d/actions/" + in.options.action};
        args.insert(args.end(), in.options.arguments.begin(), in.options.arguments.end());
        d.texts("args", args);
        d.texts("env", in.environment.host);
        d.text("cwd", in.mounts.cwd);
        d.flag("noNewPrivileges", in.identity.no_new_privileges);
        if (!in.identity.apparmor.empty()) d.text("apparmorProfile", in.identity.apparmor);
        if (!in.identity.selinux.empty()) d.text("selinuxLabel", in.identity.selinux);
        if (in.identity.capabilities)
            d.object("capabilities", [&] {
                const auto names = capability_names(*in.identity.capabilities);
                for (const char* set : {"bounding", "effective", "inheritable", "permitted", "ambient"}) d.texts(set, names);
            });
    });
}

template <class D>
void write_resources(D& d, const Resources& r) {
    const auto number = [&](const char* key, const auto& value) {
        if (value) d.writer().Key(key), d.writer().Int64(static_cast<int64_t>(*value));
    };
    const auto rates = [&](const char* key, const std::vector<DeviceRate>& list, const char* name) {
        if (list.empty()) return;
        d.objects(key, list, [&](const DeviceRate& one) {
            d.number("major", static_cast<uint64_t>(one.major));
            d.number("minor", static_cast<uint64_t>(one.minor));
            d.number(name, one.value);
        });
    };
    d.object("resources", [&] {
        d.object("memory", [&] {
            number("limit", r.memory);
            number("reservation", r.memory_reservation);
            number("swap", r.memory_swap);
            if (r.oom_kill_disable) d.flag("disableOOMKiller", *r.oom_kill_disable);
        });
        d.object("cpu", [&] {
            number("shares", r.cpu_shares);
            number("quota", r.cpu_quota);
            number("period", r.cpu_period);
            if (!r.cpus.empty()) d.text("cpus", r.cpus);
            if (!r.mems.empty()) d.text("mems", r.mems);
        });
        if (r.pids) d.object("pids", [&] { number("limit", r.pids); });
        d.object("blockIO", [&] {
            number("weight", r.io_weight);
            rates("weightDevice", r.io_weights, "weight");
            rates("throttleReadBpsDevice", r.read_bytes, "rate");
            rates("throttleWriteBpsDevice", r.write_bytes, "rate");
            rates("throttleReadIOPSDevice", r.read_operations, "rate");
            rates("throttleWriteIOPSDevice", r.write_operations, "rate");
        });
        if (!r.devices.empty())
            d.objects("devices", r.devices, [&](const DeviceRule& rule) {
                d.flag("allow", rule.allow);
                d.text("type", rule.type);
                d.text("access", rule.access);
                number("major", rule.major);
                number("minor", rule.minor);
            });
        if (!r.unified.empty())
            d.object("unified", [&] {
                for (const auto& [file, value] : r.unified) d.text(file.c_str(), value);
            });
    });
}

template <class D>
void write_linux(D& d, const Inputs& in) {
    std::vector<std::string> namespaces = {"mount"};
    if (in.identity.user_namespace) namespaces.insert(namespaces.begin(), "user");
    if (in.options.pid) namespaces.push_back("pid");
    if (in.options.ipc) namespaces.push_back("ipc");
    if (in.options.uts || !in.options.hostname.empty()) namespaces.push_back("uts");
    if (in.options.net || !in.options.network_namespace.empty()) namespaces.push_back("network");
    d.object("linux", [&] {
        d.objects("namespaces", namespaces, [&](const std::string& type) {
            d.text("type", type);
            if (type == "network" && !in.options.network_namespace.empty()) d.text("path", in.options.network_namespace);
        });
        if (in.identity.user_namespace) {
            for (const auto& [key, mappings] : {std::pair{"uidMappings", &in.identity.uids}, {"gidMappings", &in.identity.gids}})
                d.objects(key, *mappings, [&](const IdMapping& m) {
                    d.number("containerID", m.container);
                    d.number("hostID", m.host);
                    d.number("size", m.size);
                });
        }
        if (!in.identity.seccomp.empty()) d.raw("seccomp", in.identity.seccomp);
        if (in.options.resources.any()) write_resources(d, in.options.resources);
        d.text("rootfsPropagation", in.settings.boolean("mount.slave") ? "rslave" : "rprivate");
    });
}

// How the host's command fakeroot is started where plan_mounts() shows it.
const std::vector<std::string> fakeroot_words = {"/.singularity.d/libs/fakeroot", "--faked", "/.singularity.d/libs/faked", "--lib",
                                                 "/.singularity.d/libs/libfakeroot.so", "--"};

// With --writable an image that has a writable overlay of its own takes the changes there.
bool writes_image(const Inputs& in) { return in.options.writable && in.image.plan.writable; }

std::string layer(const Inputs& in) {
    if (writes_image(in)) return "none";
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
        if (!in.options.networks.empty())
            d.object("networks", [&] {
                d.texts("names", in.options.networks);
                d.texts("args", in.options.network_arguments);
                const std::string configuration = in.settings.text("cni.configuration_path");
                d.text("configuration", configuration.empty() ? in.machine.conf_directory + "/network" : configuration);
                d.texts("plugins", in.settings.list("cni.plugin_path"));
            });
        d.text("layer", layer(in));
        if (in.options.instance)
            d.object("instance", [&] {
                d.text("name", in.options.instance->name);
                d.text("title", in.options.instance->title);
                d.text("out", in.options.instance->out);
                d.text("err", in.options.instance->err);
            });
        d.flag("init", !in.options.no_init);
        if (in.options.allow_setuid) d.flag("allowSetuid", true);
        if (in.identity.fakeroot && !in.identity.fakeroot->command.empty()) d.texts("wrapper", fakeroot_words);
        d.object("identity", [&] {
            const User& u = in.identity.user;
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
        for (const char* key : {"gpu.nv", "gpu.rocm", "mount.proc", "mount.sys", "mount.dev", "mount.home", "mount.tmp", "mount.hostfs", "mount.slave", "bind.paths",
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
        d.flag("readonly", !writes_image(in));
    });
    if (!in.options.hostname.empty()) d.text("hostname", in.options.hostname);
    d.objects("mounts", in.mounts.mounts, [&](const Mount& m) { write_mount(d, m); });
    write_linux(d, in);
    std::vector<ExtraFacts> images = {{"root", in.image.plan, in.image.plan.writable != 0}};
    images.insert(images.end(), in.image.extra.begin(), in.image.extra.end());
    d.objects("images", images, [&](const ExtraFacts& i) {
        d.text("role", i.role);
        d.text("type", i.plan.type);
        d.text("path", i.plan.path);
        d.number("offset", i.plan.offset);
        d.number("size", i.plan.size);
        d.flag("writable", i.writable);
        if (i.role == "root") d.text("arch", in.image.arch);
    });
    write_container(d, in);
    write_origin(d, in);
    w.EndObject();
}

}  // namespace

Machine this_machine(const std::string& prefix, const std::string& plugin_directory, const std::string& conf_directory) {
    Machine m;
    m.conf_directory = conf_directory;
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

// With --fakeroot the caller's home is root's.
static User whose_home(const Identity& identity, const Machine& machine) {
    User user = identity.user;
    if (identity.fakeroot) user.home = machine.user.home;
    return user;
}

static void check_layers(const LaunchOptions& options, const Settings& settings, const ImageFacts& image) {
    const auto overlays = [&](bool writable) {
        return std::any_of(image.extra.begin(), image.extra.end(), [&](const ExtraFacts& e) { return e.role == "overlay" && (e.writable || !writable); });
    };
    if (options.writable && !options.overlays.empty())
        throw Error(Code::usage, "--writable and --overlay exclude each other", "without --writable the overlay takes what is written");
    if (options.writable && !image.plan.writable && !overlays(true))
        throw Error(Code::unsupported, "--writable: " + image.path + " cannot be written to",
                    "'--writable-tmpfs' or '--overlay DIR' keep changes beside it; or make a writable directory with 'singularity build --sandbox DIR IMAGE'");
    if (options.writable_tmpfs && overlays(true))
        throw Error(Code::usage, "--writable-tmpfs and a writable overlay exclude each other", "add ':ro' to the overlay to write to memory");
    if ((overlays(false) || options.writable_tmpfs) && settings.text("overlay.enable") == "no")
        throw Error(Code::permission, "overlays are not allowed: overlay.enable is no in " + settings.origin("overlay.enable").where);
}

// Plugins change the machine's own network.
static void check_networks(const LaunchOptions& options, const Machine& machine) {
    if (!options.networks.empty() && !machine.root)
        throw Error(Code::permission, "--network " + options.networks.front() + ": network requires root; ordinary users can only use --network=none",
                    "without --net the container has the host's network");
    if (!options.network_arguments.empty() && options.networks.empty()) throw Error(Code::usage, "--network-args: there is no network to hand it to", "--network NAME names one");
}

LaunchSpec make_launch_spec(const LaunchOptions& options, const Settings& settings, const ImageFacts& image, const Machine& machine, bool pretty) {
    check_layers(options, settings, image);
    check_networks(options, machine);
    const Identity identity = container_identity(options, settings, machine.user, machine.root, machine.conf_directory + "/capability.json");
    const auto overlays = std::count_if(image.extra.begin(), image.extra.end(), [](const ExtraFacts& e) { return e.role == "overlay"; });
    const MountFacts facts{whose_home(identity, machine), machine.cwd, identity.user_namespace, identity.user.uid, static_cast<uint32_t>(1 + overlays),
                           identity.fakeroot ? &*identity.fakeroot : nullptr};
    MountPlan plan = plan_mounts(options, settings, facts);
    EnvironmentFacts known{image.path, plan.home.destination, {}};
    for (const auto& m : plan.mounts)
        if (m.tag == "userbinds") known.bind_destinations.push_back(m.destination);
    SiteEnvironment site;
    for (const auto& text : settings.list("environment.set")) {
        const size_t equals = text.find('=');
        site.pairs.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    }
    site.locked = [&](const std::string& where) { settings.need_unlocked("environment.set", where); };
    const Environment environment = container_environment(options, known, machine.environment, site);
    LaunchSpec out;
    out.child = options.pid || options.resources.any() || !options.networks.empty();
    out.notes = identity.notes;
    out.warnings = plan.warnings;
    out.warnings.insert(out.warnings.end(), environment.warnings.begin(), environment.warnings.end());
    if (options.writable && options.writable_tmpfs) out.warnings.push_back("Ignoring --writable-tmpfs, as --writable is given");
    const Inputs in{options, settings, image, machine, plan, environment, identity};
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
