// exec, run, shell and test: options, image, LaunchSpec, launcher.
#include "cli/container_action.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "cli/comma_list.hpp"
#include "cli/gpu_options.hpp"
#include "cli/instance_access.hpp"
#include "cli/instance_join.hpp"
#include "cli/instance_start.hpp"
#include "cli/resource_options.hpp"
#include "cli/spec_text.hpp"
#include "mount/shared.hpp"
#include "runtime/extra_images.hpp"
#include "runtime/image_policy.hpp"
#include "runtime/launch_spec.hpp"
#include "runtime/lazy_root.hpp"
#include "runtime/told_image.hpp"

namespace sg {
namespace {

using runtime::LaunchOptions;

struct Given {
    LaunchOptions launch;
    std::vector<std::string> binds, mounts, overlays, fuse_mounts, security, env, env_files, no_env, no_mount, scratch, network_args;
    std::string home, cwd, dns, timeout, network, arch, format;
    bool contain_all = false, compat = false, no_umask = false, dry_run = false, ignored = false, no_pid = false;
    GpuOptions gpu;
    ResourceOptions resources;
    std::shared_ptr<InstanceStart> instance;  // of `instance start`
    std::string instance_name;
};

// Every non-empty SINGULARITY_NAME, APPTAINER_NAME of the names, in that order: the variable and its value. Unlike
// Argument::variable(), the text stays whole: commas may be escaped.
std::vector<std::pair<std::string, std::string>> set_variables(std::initializer_list<const char*> names) {
    std::vector<std::pair<std::string, std::string>> out;
    for (const char* name : names)
        for (const char* prefix : {"SINGULARITY_", "APPTAINER_"}) {
            std::string variable = std::string(prefix) + name;
            if (const char* value = std::getenv(variable.c_str()); value && *value) {
                out.emplace_back(std::move(variable), value);
                break;
            }
        }
    return out;
}
std::vector<std::string> variables(std::initializer_list<const char*> names) {
    std::vector<std::string> out;
    for (auto& [name, value] : set_variables(names)) out.push_back(std::move(value));
    return out;
}

// Where each option comes from, for who looks at the LaunchSpec: the command line, or a variable.
std::vector<std::pair<std::string, std::string>> origins_of(const Arguments& arguments) {
    std::vector<std::pair<std::string, std::string>> out;
    const auto add = [&](const std::string& option, const std::string& where) {
        const auto known = std::find_if(out.begin(), out.end(), [&](const auto& o) { return o.first == option; });
        if (known == out.end())
            out.emplace_back(option, where);
        else if (known->second != where)
            known->second += ", " + where;
    };
    for (const auto& [argument, value] : arguments.in_order())
        if (!argument->is_word() && argument->given()) add(argument->shown_name(), argument->from().empty() ? "command line" : argument->from());
    for (const auto& [name, value] : set_variables({"BIND", "BINDPATH"})) add("--bind", name);
    for (const auto& [name, value] : set_variables({"MOUNT"})) add("--mount", name);
    for (const auto& [name, value] : set_variables({"FUSESPEC"})) add("--fusemount", name);
    return out;
}

unsigned seconds(const std::string& text) {
    // "90", "90s", "2m": Go's durations as far as people write them.
    size_t used = 0;
    unsigned long n = 0;
    try {
        n = std::stoul(text, &used);
    } catch (const std::exception&) {
        used = 0;
    }
    const std::string unit = text.substr(std::min(used, text.size()));
    if (used == 0 || n == 0 || n > 86400 || !(unit.empty() || unit == "s" || unit == "m"))
        throw Error(Code::usage, "--runscript-timeout " + text + ": not a number of seconds or minutes", "write 90s or 2m");
    return static_cast<unsigned>(unit == "m" ? n * 60 : n);
}

void settle_networks(Given& g) {
    LaunchOptions& l = g.launch;
    l.networks = comma_list({g.network});
    l.network_arguments = comma_list(g.network_args);
    if (!l.network_namespace.empty()) {
        if (l.net || !l.networks.empty()) log::warning("Ignoring --net and --network, as --netns-path names the network namespace");
        l.net = false;
        l.networks.clear();
        return;
    }
    if (!l.networks.empty() && !l.net) {
        log::info("Setting --net (required by --network)");
        l.net = true;
    }
    if (l.net && l.networks.empty()) l.networks = {"bridge"};
    const bool none = std::find(l.networks.begin(), l.networks.end(), "none") != l.networks.end();
    if (none && l.networks.size() > 1) throw Error(Code::usage, "--network " + g.network + ": 'none' excludes other networks");
    if (none) l.networks.clear();
}

// Options to settings of the launch, once all are parsed.
void settle(Given& g) {
    LaunchOptions& l = g.launch;
    if (g.compat) {
        g.contain_all = l.no_init = g.no_umask = l.no_eval = true;
        if (!l.writable) l.writable_tmpfs = true;
    }
    if (g.contain_all) l.contain = l.pid = l.ipc = l.clean_environment = true;
    for (const auto& text : variables({"BIND", "BINDPATH"}))
        for (auto& b : runtime::parse_binds(text)) l.binds.push_back(std::move(b));
    for (const auto& text : g.binds)
        for (auto& b : runtime::parse_binds(text)) l.binds.push_back(std::move(b));
    for (const auto& text : variables({"MOUNT"}))
        for (auto& b : runtime::parse_mounts(text)) l.binds.push_back(std::move(b));
    for (const auto& text : g.mounts)
        for (auto& b : runtime::parse_mounts(text)) l.binds.push_back(std::move(b));
    for (const auto& text : comma_list(g.overlays)) l.overlays.push_back(runtime::parse_overlay(text));
    for (const auto& text : variables({"FUSESPEC"})) l.fuse_mounts.push_back(runtime::parse_fuse_mount(text));
    for (const auto& text : g.fuse_mounts) l.fuse_mounts.push_back(runtime::parse_fuse_mount(text));
    // A program that serves a mount of its own namespace must end with it: the end of a PID namespace sees to that.
    for (const auto& f : l.fuse_mounts) l.pid = l.pid || f.in_container;
    if (g.no_pid) l.pid = false;
    for (const auto& path : comma_list(g.env_files))
        for (auto& p : runtime::read_env_file(path, environ)) l.file_environment.push_back(std::move(p));
    for (const auto& text : g.env)
        for (auto& p : runtime::parse_env_option(text)) l.environment.push_back(std::move(p));
    l.no_environment = comma_list(g.no_env);
    l.no_mount = comma_list(g.no_mount);
    l.scratch = comma_list(g.scratch);
    l.dns = comma_list({g.dns});
    l.security = comma_list(g.security);
    if (!g.home.empty()) l.home = g.home;
    if (!g.cwd.empty()) l.cwd = g.cwd;
    if (!g.timeout.empty()) l.script_timeout = seconds(g.timeout);
    if (l.writable && g.launch.writable_tmpfs) l.writable_tmpfs = false, log::warning("Ignoring --writable-tmpfs, as --writable is given");
    settle_networks(g);
}

bool is_uri(const std::string& text, Session& session) {
    const size_t colon = text.find(':');
    if (colon == std::string::npos || colon == 0 || text.find('/') < colon) return false;
    // "scheme:path" is a URI only for a known scheme and when no file has that name.
    if (text.compare(colon, 3, "://") == 0) return true;
    if (::access(text.c_str(), F_OK) == 0) return false;
    return session.plugins.index().find(CapabilityKind::bootstrap, std::string_view(text).substr(0, colon)).has_value();
}

bool can_make_user_namespaces() {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(::unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
    int status = -1;
    while (pid > 0 && ::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status == 0;
}

// Ordinary users have image files mounted by FUSE. Where there is none, but a user namespace can bind directories, an
// image is unpacked once; without user namespaces the launcher says what is missing.
bool unpack_instead(OpenedImage& image, Session& session) {
    if (image.format().directory || ::geteuid() == 0) return false;
    const UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    if (device) return false;
    const std::string why = std::strerror(errno);
    if (!can_make_user_namespaces()) return false;
    log::warning("/dev/fuse cannot be opened (" + why + "): " + image.path() + " runs from a directory in the cache that it is unpacked to");
    image = session.plugins.open_image(session.unpack(image.path()));
    return true;
}

std::string fetched(const Given& g, const std::string& uri, Session& session) {
    Pairs options = session.plugin_options();
    if (!g.arch.empty()) options.emplace_back("arch", g.arch);
    return session.fetch(uri, options);
}

int launch(Given& g, const std::string& image_name, Session& session) {
    settle(g);
    if (names_instance(image_name) && !g.instance) {
        if (g.no_umask) ::umask(0022);
        return join_instance(g.launch, image_name, g.dry_run, g.format == "text", session);
    }
    g.gpu.settle(g.launch, session);
    g.resources.settle(g.launch);
    if (g.instance) g.instance->reserve(g.instance_name, !g.no_pid, g.launch, session);
    const std::string path = is_uri(image_name, session) ? fetched(g, image_name, session) : image_name;
    const auto opened = std::make_shared<OpenedImage>(session.plugins.open_image(path, false));
    OpenedImage& image = *opened;
    const sg_call call = session.call();
    const runtime::ImagePolicy policy = runtime::permit_image(session.plugins, {image.path()}, &call);
    const sg_image_info info = image.info();
    if (!info.runnable) throw Error(Code::unsupported, image.path() + " has no root file system to run");
    if (info.encrypted && !g.dry_run) image.root();  // asks for the key, before anything else is done
    runtime::ImageFacts facts;
    facts.path = image.path();
    facts.arch = info.arch;
    bool mountable = true;
    try {
        facts.plan = image.mount_plan();
    } catch (const Error& e) {
        // A format that no kernel knows has a reader, and the host's FUSE server serves that.
        if (e.code() != Code::unsupported) throw;
        mountable = false;
    }
    if (!g.dry_run && !g.launch.writable && unpack_instead(image, session)) {
        facts.plan = image.mount_plan();
        facts.plan.writable = 0;  // the cache's directory serves every later run
        mountable = true;
    }
    std::vector<runtime::ExtraImage> extra = runtime::open_overlays(g.launch.overlays, session.plugins, &call);
    const bool written = std::any_of(extra.begin(), extra.end(), [](const auto& e) { return e.writable; });
    std::vector<runtime::ExtraImage> own = runtime::own_overlays(opened, g.launch.writable && !written);
    extra.insert(extra.begin(), std::make_move_iterator(own.begin()), std::make_move_iterator(own.end()));
    for (auto& e : runtime::open_data(g.launch.binds, session.plugins, &call)) extra.push_back(std::move(e));
    for (const auto& e : extra) facts.extra.push_back({e.role, e.plan, e.writable});
    const runtime::Machine machine = runtime::this_machine(session.installation.prefix, session.installation.plugin_dir, session.installation.conf_dir);
    const bool kernel_mounts = machine.root && !g.launch.user_namespace && !g.launch.fakeroot;
    std::vector<sg_launch_image> images = {{nullptr, nullptr}};
    const bool directory = image.format().directory;
    runtime::LazyRoot reader([&image] {
        const singularity::ForeignRoot r = image.root();
        return runtime::LazyRoot::Reader{r.table(), r.handle()};
    });
    if (!directory && mountable && kernel_mounts) {
        images.front() = {runtime::LazyRoot::table(), reader.handle()};
    } else if (!directory && !g.dry_run) {
        // Who cannot have the kernel mount it reads at once, by the reader itself; without one the launcher may know a way.
        try {
            images.front() = {reader.reader().table, reader.reader().root};
        } catch (const Error& e) {
            if (e.code() != Code::unsupported || !mountable) throw;
        }
        if (images.front().table && ::geteuid() != 0 && !g.launch.fakeroot && session.settings.integer("mount.linger") > 0)
            expect_shared_mount(images.front().table, images.front().root, facts.plan.offset);
    }
    const runtime::LaunchSpec spec = runtime::make_launch_spec(g.launch, session.settings, facts, machine, g.dry_run);
    if (g.dry_run) {
        const std::string text = g.format == "text" ? spec_text(spec.json) : spec.json + "\n";
        return ::write(STDOUT_FILENO, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 255;
    }
    for (const auto& n : spec.notes) log::info(n);
    for (const auto& w : spec.warnings) log::warning(w);

    const std::string launcher_used = launcher_name(session);
    const sg_launcher_v1& launcher = session.plugins.launcher(launcher_used);
    for (const auto& e : extra) images.push_back(e.for_launch(kernel_mounts));
    const std::string shown_path = facts.path;  // also where it runs from what it was unpacked to
    runtime::ToldImage told{image_name, shown_path, {}, policy.signers};
    runtime::find_out_for_hooks(
        session.plugins, {"before_run", "ended"}, told, [&](const std::string& file) { return session.digest(file); },
        &call);
    runtime::tell_hooks(session.plugins, "before_run", told);
    const sg_launch what{spec.json.c_str(), images.data(), images.size(), &call};
    if (g.no_umask) ::umask(0022);
    if (g.instance) {
        std::function<void(int)> ended;
        if (session.plugins.listens("ended"))
            ended = [&](int status) { runtime::tell_hooks(session.plugins, "ended", told, status); };
        g.instance->start({launcher, launcher_used, what, shown_path, !kernel_mounts, ended}, session);
        return 0;
    }
    // Who becomes the container sees nothing of its end.
    const bool awaited = session.plugins.listens("ended");
    if (!spec.child && !awaited) {
        singularity::check([&](sg_error* e) { return launcher.become(&what, e); });
        throw Error(Code::internal, "the launcher returned without an error");
    }
    int32_t status = 0;
    try {
        singularity::check([&](sg_error* e) { return launcher.run(&what, &status, e); });
    } catch (const Error& e) {
        // Whoever heard that it is about to run hears that it is over.
        if (awaited) runtime::tell_hooks(session.plugins, "ended", told, exit_code(e.code()));
        throw;
    }
    const int exit_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (awaited) runtime::tell_hooks(session.plugins, "ended", told, exit_status);
    return exit_status;
}

}  // namespace

Action declare_container_action(Arguments& arguments, const char* verb, std::shared_ptr<InstanceStart> instance) {
    auto g = std::make_shared<Given>();
    g->instance = std::move(instance);
    LaunchOptions& l = g->launch;
    l.action = verb;
    arguments.pass_rest();

    arguments.list("-B,--bind", g->binds, "SRC[:DEST[:ro|rw]], several divided by commas [SINGULARITY_BIND]").shown_as("SPEC");
    arguments.list("--fusemount", g->fuse_mounts, "host:PROGRAM ARGUMENTS /PLACE: a directory that a FUSE program serves; container: a program of the image [SINGULARITY_FUSESPEC]").shown_as("SPEC");
    arguments.list("-o,--overlay", g->overlays, "PATH[:ro]: a directory or an image that is laid over the image; the first without ':ro' takes what is written").shown_as("PATH").variable("OVERLAY,OVERLAYIMAGE");
    arguments.list("--mount", g->mounts, "type=bind,source=SRC,destination=DEST[,readonly] [SINGULARITY_MOUNT]").shown_as("SPEC");
    arguments.text("-H,--home", g->home, "SRC[:DEST]: another home directory").variable("HOME");
    arguments.flag("--no-home", l.no_home, "Do not mount the home directory").variable("NO_HOME");
    arguments.list("--no-mount", g->no_mount, "Leave out: proc, sys, dev, devpts, home, tmp, hostfs, cwd, bind-paths, or a path").shown_as("LIST").variable("NO_MOUNT");
    arguments.list("-S,--scratch", g->scratch, "Empty directories at these paths").shown_as("LIST").variable("SCRATCH,SCRATCHDIR");
    arguments.text("-W,--workdir", l.workdir, "Where --contain and --scratch keep their directories").variable("WORKDIR");
    arguments.text("--pwd,--cwd", g->cwd, "Directory to start in").variable("CWD,TARGET_CWD,PWD,TARGET_PWD");
    arguments.flag("-w,--writable", l.writable, "Change the image itself (directories)").variable("WRITABLE");
    arguments.flag("--writable-tmpfs", l.writable_tmpfs, "Writable, changes are kept in memory and lost at the end").variable("WRITABLE_TMPFS");

    arguments.flag("-c,--contain", l.contain, "Own /dev, home, /tmp instead of the host's").variable("CONTAIN");
    arguments.flag("-C,--containall", g->contain_all, "--contain --pid --ipc --cleanenv").variable("CONTAINALL");
    arguments.flag("--compat", g->compat, "As other container engines do: --containall --no-init --no-umask --no-eval --writable-tmpfs").variable("COMPAT");
    arguments.flag("-u,--userns", l.user_namespace, "A user namespace, also for root").variable("USERNS,UNSHARE_USERNS");
    arguments.flag("-p,--pid", l.pid, "A PID namespace").variable("PID,UNSHARE_PID");
    arguments.flag("--no-pid", g->no_pid, "No PID namespace, where another option would make one").variable("NO_PID");
    arguments.flag("--no-init", l.no_init, "With --pid: the command itself is process 1").variable("NOSHIMINIT");
    arguments.flag("-i,--ipc", l.ipc, "An IPC namespace").variable("IPC,UNSHARE_IPC");
    arguments.flag("--uts", l.uts, "A UTS namespace").variable("UTS,UNSHARE_UTS");
    arguments.text("--hostname", l.hostname, "Host name in the container").variable("HOSTNAME");
    arguments.flag("-n,--net", l.net, "A network namespace that joins networks (root), or none").variable("NET,UNSHARE_NET");
    arguments.text("--network", g->network, "CNI networks to join, divided by commas (bridge); none: only a loopback device").shown_as("LIST").variable("NETWORK");
    arguments.list("--network-args", g->network_args, "[NETWORK:]NAME=VALUE[;...] for a network, as portmap=8080:80/tcp").shown_as("LIST").variable("NETWORK_ARGS");
    arguments.text("--dns", g->dns, "Name servers for /etc/resolv.conf").variable("DNS");
    arguments.text("--netns-path", l.network_namespace, "A network namespace to join (root)").variable("NETNS_PATH");
    arguments.flag("-f,--fakeroot", l.fakeroot, "Be root in the container").variable("FAKEROOT");
    arguments.flag("--ignore-subuid", l.ignore_subuid, "With --fakeroot: use no subordinate ids").variable("IGNORE_SUBUID");
    arguments.flag("--ignore-fakeroot-command", l.ignore_fakeroot_command, "With --fakeroot: do without the host's command fakeroot").variable("IGNORE_FAKEROOT_COMMAND");
    arguments.text("--add-caps", l.add_capabilities, "Capabilities that the program gets").shown_as("LIST").variable("ADD_CAPS");
    arguments.text("--drop-caps", l.drop_capabilities, "Capabilities that it does not get").shown_as("LIST").variable("DROP_CAPS");
    arguments.flag("--keep-privs", l.keep_privileges, "Keep all of root's capabilities").variable("KEEP_PRIVS");
    arguments.flag("--allow-setuid", l.allow_setuid, "Let set-user-id programs of the image work (root)").variable("ALLOW_SETUID");
    arguments.list("--security", g->security, "uid:N, gid:N[:N], seccomp:FILE, apparmor:PROFILE, selinux:LABEL").shown_as("LIST").variable("SECURITY");
    arguments.flag("--underlay", g->ignored, "Taken for compatibility: missing mount points need no underlay here").hidden().variable("UNDERLAY");
    for (const char* name : {"--sharens", "--unsquash", "--no-oci"})
        arguments.flag(name, g->ignored, "Taken for compatibility: there is one way of running images, and nothing to choose").hidden();
    arguments.flag("--no-privs", l.no_privileges, "Drop root's capabilities").variable("NO_PRIVS");
    arguments.flag("--no-umask", g->no_umask, "umask 0022 instead of the caller's").variable("NO_UMASK");

    arguments.list("--env", g->env, "NAME=VALUE, several divided by commas").shown_as("LIST");
    arguments.list("--env-file", g->env_files, "Shell assignments to take variables from").shown_as("FILE").variable("ENV_FILE");
    arguments.list("--no-env", g->no_env, "Variables of the host not to pass on").shown_as("LIST").variable("NOENV");
    arguments.flag("-e,--cleanenv", l.clean_environment, "Pass no variables of the host").variable("CLEANENV");
    arguments.flag("--no-eval", l.no_eval, "Take values and arguments as they are, without a shell's evaluation").variable("NO_EVAL");
    if (std::string_view(verb) == "shell")
        arguments.text("-s,--shell", l.shell, "The shell to start").variable("SHELL");
    arguments.text("--app", l.app, "An app of the image").variable("APP,APPNAME");
    arguments.text("--runscript-timeout", g->timeout, "Most time for the image's environment scripts (60s)").variable("RUNSCRIPT_TIMEOUT");
    arguments.text("--arch", g->arch, "Architecture to choose from an image for several, as arm64 or arm/v7").variable("ARCH");
    arguments.add(Argument::Kind::text, "--launcher", nullptr, "Who starts the container: a registered launcher").shown_as("NAME").sets_key("launcher");
    arguments.add(Argument::Kind::flag, "--disable-cache", nullptr, "Use no cache and keep nothing in it").sets_key("cache.disable");
    arguments.add(Argument::Kind::flag, "--offline", nullptr, "Take the image from the cache, ask no server").sets_key("fetch.offline");
    arguments.add(Argument::Kind::text, "--pem-path", nullptr, "RSA private key (PEM) of an encrypted image").shown_as("FILE").sets_key("encryption.pem_path");
    arguments.add(Argument::Kind::flag, "--passphrase", nullptr, "Ask for the passphrase of an encrypted image").sets_key("encryption.ask");
    arguments.flag("--dry-run", g->dry_run, "Print the LaunchSpec, with where each setting comes from, and start nothing");
    arguments.text("--format", g->format, "With --dry-run: json or text").one_of({"json", "text"}).shown_as("FORMAT");
    g->gpu.declare(arguments);
    g->resources.declare(arguments);

    return [g, &arguments](Session& session) {
        const std::vector<std::string>& rest = arguments.rest();
        if (rest.empty()) throw Error(Code::usage, arguments.name() + ": the image is missing", "the form is: singularity " + arguments.name() + " [options] IMAGE [arguments]");
        if (g->launch.action == "exec" && rest.size() < 2) throw Error(Code::usage, "exec: the command is missing", "the form is: singularity exec [options] IMAGE COMMAND [arguments]");
        if (g->instance && rest.size() < 2) throw Error(Code::usage, arguments.name() + ": the name is missing", "the form is: singularity " + arguments.name() + " [options] IMAGE NAME [arguments]");
        const size_t words = g->instance ? 2 : 1;
        if (g->instance) g->instance_name = rest[1];
        if (g->dry_run) g->launch.origins = origins_of(arguments);
        g->launch.arguments.assign(rest.begin() + static_cast<ptrdiff_t>(words), rest.end());
        return launch(*g, rest[0], session);
    };
}

}  // namespace sg
