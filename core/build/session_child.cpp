#include "build/session_child.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <singularity/text.hpp>
#include <sstream>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/seccomp_notification.hpp"
#include "build/files_copy.hpp"
#include "build/id_maps.hpp"
#include "build/inside.hpp"
#include "build/script_devices.hpp"
#include "build/space.hpp"
#include "metadata/image_files.hpp"
#include "metadata/oci.hpp"
#include "ownership/filter.hpp"
#include "ownership/supervisor.hpp"
#include "rootfs/copy.hpp"
#include "rootfs/overlay_tar.hpp"
#include "runtime/launch_spec.hpp"
#include "store/output.hpp"

namespace sg {

using definition::Section;

namespace {

constexpr const char* script_path = ".post.script";
constexpr const char* labels_path = ".build.labels";
constexpr const char* environment_path = ".singularity.d/env/91-environment.sh";
constexpr uint64_t most_text = 4u << 20;

// A file that is only a text.
struct TextSource final : FilesSource {
    std::string_view text;
    std::optional<Entry> look(const std::string&, bool) const override { return std::nullopt; }
    std::vector<std::string> names(const std::string&) const override { return {}; }
    std::string link_target(const std::string&) const override { return {}; }
    std::unique_ptr<singularity::Stream> open(const std::string&) const override { return std::make_unique<singularity::TextStream>(std::string(text)); }
    std::string shown(const std::string& path) const override { return path; }
};

class Child {
public:
    Child(const SessionPlan& plan, const SessionEnds& ends, const sg_call* call) : plan_(plan), ends_(ends), call_(call), rootfs_(plan.work + "/rootfs") {}

    // ---- Outside of the PID namespace ---------------------------------------------------------

    [[noreturn]] void outer() {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (getppid() != ends_.parent) _exit(255);
        dup2(ends_.out, STDOUT_FILENO);
        dup2(ends_.err, STDERR_FILENO);
        pid_t inner = -1;
        try {
            enter_user_namespace();
            prepare_base();
            if (!machine_root_) answer_for_owners();
            if (unshare(CLONE_NEWNS | CLONE_NEWPID) != 0) throw_errno("cannot create the namespaces of the build", "");
            inner = fork();
            if (inner < 0) throw_errno("cannot start the first process of the build", "");
        } catch (const Error& e) {
            fail(e);
        }
        if (inner == 0) run_inner();
        // Nobody but the processes inside may hold these: their end tells that all are gone.
        close(ends_.out), close(ends_.err), close(STDOUT_FILENO), close(STDERR_FILENO), close(ends_.tar);
        int status = 0;
        while (waitpid(inner, &status, 0) < 0 && errno == EINTR) {
        }
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 255);
    }

private:
    void send_event(char type, std::string_view payload = {}) {
        std::string message(1, type);
        const auto size = static_cast<uint32_t>(payload.size());
        message.append(reinterpret_cast<const char*>(&size), sizeof size).append(payload);
        for (size_t at = 0; at < message.size();) {
            const ssize_t n = send(ends_.events, message.data() + at, message.size() - at, MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) _exit(255);
            at += static_cast<size_t>(n);
        }
    }

    [[noreturn]] void fail(const Error& e) {
        sg_error err;
        std::memset(&err, 0, sizeof err);
        (void)singularity::fill(&err, e.code(), e.message(), e.hint(), e.detail());
        send_event(session_event::failure, {reinterpret_cast<const char*>(&err), sizeof err});
        _exit(255);
    }

    void enter_user_namespace() {
        machine_root_ = is_machine_root();
        if (machine_root_) return;
        const uid_t uid = geteuid();
        const gid_t gid = getegid();
        if (unshare(CLONE_NEWUSER) != 0)
            throw Error(Code::permission, "Failed to create user namespace: " + std::string(std::strerror(errno)),
                        "%post of an ordinary user needs user namespaces; an administrator can allow them (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone)");
        send_event(session_event::map);
        char answer = 0;
        if (recv(ends_.events, &answer, 1, 0) != 1) _exit(255);
        if (answer == 'n') {
            map_root_only(uid, gid);
            root_only_ = true;
        }
        if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) throw_errno("cannot become root of the user namespace", "");
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);  // a change of ids switches it off
    }

    // The FUSE server must be started before the mount and PID namespaces are.
    void prepare_base() {
        if (!plan_.base.image || plan_.base.image->format().directory) return;
        const auto* host = plan_.plugins.c();
        service_ = static_cast<const sg_host_mount_v1*>(host->table(host, "mount", 1));
        if (!service_) throw Error(Code::internal, "this program has no file system server");
        const singularity::ForeignRoot root = plan_.base.image->root();
        const char* const none[] = {nullptr};
        sg_mount_view view{0, 0, root_only_ ? 1 : 0, none};
        try {
            singularity::check([&](sg_error* e) { return service_->prepare(root.table(), root.handle(), &view, &server_, e); });
        } catch (const Error& e) {
            log::warning("the base cannot be mounted and is unpacked instead: " + e.message());
            unpack_ = true;
        }
    }

    // A user namespace of one id knows no owners, and none makes device nodes: they are recorded by a process that stays outside of what follows.
    void answer_for_owners() {
        if (const std::string why = no_seccomp_notification(); !why.empty()) {
            if (root_only_) send_event(session_event::no_owners, why);
            return;
        }
        if (root_only_ && plan_.base.image) base_owners_ = owners_of(plan_.base.image->root());
        owners_.emplace(plan_.work, below("upper"), base_owners_, [this] { close(ends_.events), close(ends_.out), close(ends_.err), close(ends_.tar); }, rootfs_, scope());
    }

    ownership::Scope scope() const { return {.owners = root_only_, .stat = plan_.emulate_stat}; }

    static ownership::BaseOwners owners_of(const singularity::ForeignRoot& root) {
        return [root](std::string_view path) -> std::optional<ownership::Owner> {
            uint64_t node = root.root();
            for (size_t at = 0; at < path.size();) {
                const size_t end = std::min(path.find('/', at), path.size());
                node = root.lookup(node, path.substr(at, end - at));
                if (node == SG_NO_NODE) return std::nullopt;
                at = end + 1;
            }
            const sg_attr a = root.stat(node);
            return ownership::Owner{a.uid, a.gid};
        };
    }

    // ---- Inside -------------------------------------------------------------------------------

    [[noreturn]] void run_inner() {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        try {
            umask(0002);
            mounts();
            before_scripts();
            if (plan_.setup) setup();
            if (plan_.files_of_host) plan_.files_of_host(*directory_target(root_.get()));
            if (plan_.post) post();
            results();
            send_event(session_event::done);
            changes();
            finish();
            send_event(session_event::ended);
            _exit(0);
        } catch (const Error& e) {
            fail(e);
        } catch (const std::exception& e) {
            fail(Error(Code::internal, e.what()));
        }
    }

    std::string below(const char* name) const { return plan_.work + "/" + name; }
    static void make(const std::string& path, mode_t mode) {
        if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST) throw_errno("cannot create the directory", path);
        if (chmod(path.c_str(), mode) != 0) throw_errno("cannot set the mode of", path);
    }

    void mounts() {
        if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) throw_errno("cannot make the mounts of the build private", "");
        make(rootfs_, 0755);
        const bool image = plan_.base.image != nullptr;
        if (image && !unpack_) {
            std::string lower = below("base");
            if (plan_.base.image->format().directory) {
                lower = plan_.base.image->path();
            } else {
                make(lower, 0755);
                void* server = std::exchange(server_, nullptr);
                singularity::check([&](sg_error* e) { return service_->attach(server, lower.c_str(), e); });
            }
            if (!overlay(lower)) unpack_ = true;
        }
        if (image && unpack_) unpack();
        if (plan_.base.recipe) fill();
        if (!overlaid_) send_event(session_event::unpacked);
        root_ = UniqueFd(open(rootfs_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!root_) throw_errno("cannot open", rootfs_);
        (void)mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);  // that of this PID namespace, where it may be had
    }

    bool overlay(const std::string& lower) {
        struct stat st;
        if (stat(lower.c_str(), &st) != 0) throw_errno("cannot look at the base", lower);
        make(below("upper"), st.st_mode & 07777);
        make(below("work"), 0700);
        if (lower.find_first_of(":,\\") != std::string::npos || plan_.work.find_first_of(":,\\") != std::string::npos) return false;
        const std::string places = "lowerdir=" + lower + ",upperdir=" + below("upper") + ",workdir=" + below("work");
        // In a user namespace overlay keeps its marks in user.*; without it `rm -rf` of a directory of the base fails.
        const std::string own = machine_root_ ? "" : ",userxattr";
        // A copy of a renamed directory or of changed attributes alone would be no layer.
        for (const std::string more : {",volatile,index=off,metacopy=off,redirect_dir=off", ",volatile", ""})
            if (mount("overlay", rootfs_.c_str(), "overlay", MS_NODEV, (places + own + more).c_str()) == 0) return overlaid_ = true;
        log::warning("no overlay here (" + std::string(std::strerror(errno)) + "): the base is unpacked, which takes longer");
        return false;
    }

    // Where overlay or FUSE cannot be had: all of the base as files.
    void unpack() {
        FormatEntry format;
        for (const auto& c : plan_.plugins.index().capabilities(CapabilityKind::format))
            if (c.directory) format = plan_.plugins.format(c.name);
        if (!format.table) throw Error(Code::unsupported, "no registered format unpacks an image to a directory");
        sg_create what{};
        what.fd = -1;
        what.path = rootfs_.c_str();
        what.arch = plan_.base.arch.c_str();
        what.compress = "";
        what.time = INT64_MIN;
        const sg_pair none[] = {{nullptr, nullptr}};
        what.options = none;
        expect_space("the unpacked base", unpacked_bytes(plan_.base.image->root()), plan_.work, "--tmpdir names another directory");
        ImageWriter writer = ImageWriter::create(*format.table, what, call_);
        Tree tree = copy_root(plan_.base.image->root(), writer, MergeLimits{}, call_);
        writer.finish(tree);
        if (owners_ && root_only_) know_owners();
    }

    // A process of its own where owners are recorded: who asks the supervisor does so to the end.
    void fill() {
        if (!owners_) return plan_.base.source->fill(rootfs_);
        const pid_t child = fork();
        if (child < 0) throw_errno("cannot start the process that makes the base", "");
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
            try {
                ownership::ask_supervisor(plan_.work, scope());
                plan_.base.source->fill(rootfs_);
                _exit(0);
            } catch (const Error& e) {
                fail(e);
            } catch (const std::exception& e) {
                fail(Error(Code::internal, e.what()));
            }
        }
        const int status = wait_for(child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 255) _exit(255);  // it has told why
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            throw Error(Code::internal, "the process that makes the base ended without a word", "The kernel's log (dmesg) may say why, as when memory ran out.");
    }

    // What could not be unpacked under its owner belongs to it all the same.
    void know_owners() {
        const UniqueFd root(open(rootfs_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!root) throw_errno("cannot open", rootfs_);
        OwnerRecord known;
        for_each_file(root.get(), "", [&](const std::string& path, const struct statx& st) {
            const auto owner = base_owners_(path);
            if (!owner || *owner == ownership::Owner{}) return;
            RecordedFile& file = known.add(identity_of(st));
            file.uid = owner->uid, file.gid = owner->gid;
        });
        owners_->know(known);
    }

    template <class Visit>
    static void for_each_file(int directory, const std::string& prefix, const Visit& visit) {
        struct Close {
            void operator()(DIR* d) const { closedir(d); }
        };
        const std::unique_ptr<DIR, Close> list(fdopendir(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
        if (!list) throw_errno("cannot read the directory", "/" + prefix);
        while (const dirent* e = readdir(list.get())) {
            const std::string name = e->d_name;
            if (name == "." || name == "..") continue;
            struct statx st {};
            if (statx(directory, name.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &st) != 0) throw_errno("cannot look at", "/" + prefix + name);
            visit(prefix + name, st);
            if (!S_ISDIR(st.stx_mode)) continue;
            const UniqueFd below(openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
            if (!below) throw_errno("cannot read the directory", "/" + prefix + name);
            for_each_file(below.get(), prefix + name + "/", visit);
        }
    }

    void put(const std::string& path, uint32_t mode, std::string_view text) {
        TextSource source;
        source.text = text;
        directory_target(root_.get())->file(path, mode, 0, {source, path, text.size()});
    }

    // Directories that everybody expects, and those of apps.
    void before_scripts() {
        const auto target = directory_target(root_.get());
        for (const char* directory : {"/.singularity.d", "/.singularity.d/env", "/.singularity.d/libs", "/.singularity.d/actions", "/dev", "/proc", "/root", "/var", "/var/tmp", "/tmp", "/etc", "/sys", "/home"})
            if (target->kind(directory) == FilesTarget::Kind::none) target->directory(directory, 0755, 0);
        for (const char* file : {"/etc/resolv.conf", "/etc/hosts"})
            if (target->kind(file) == FilesTarget::Kind::none && faccessat(AT_FDCWD, file, R_OK, 0) == 0) put(file, 0644, "");
        if (!plan_.base.image) first_metadata(*target);
        for (const AppSections& app : plan_.apps) {
            for (const std::string& directory : app_directories(app.name)) target->directory("/" + directory, 0755, 0);
            put("/scif/apps/" + app.name + "/scif/env/01-base.sh", 0755, app_files(app).front().text);
        }
        if (plan_.files_of_stages) files_of_stages();
    }

    // Owners that this namespace cannot set are recorded as those of scripts are.
    void files_of_stages() {
        OwnerRecord known;
        const auto remember = [&](int fd, uint32_t uid, uint32_t gid) {
            char place[PATH_MAX];
            const ssize_t n = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), place, sizeof place);
            const std::string_view path(place, static_cast<size_t>(std::max<ssize_t>(n, 0)));
            if (!path.starts_with(rootfs_ + "/")) return;
            const std::string file = (overlaid_ ? below("upper") : rootfs_) + std::string(path.substr(rootfs_.size()));
            struct statx st {};
            if (statx(AT_FDCWD, file.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &st) != 0) throw_errno("cannot look at", file);
            RecordedFile& f = known.add(identity_of(st));
            f.uid = uid, f.gid = gid;
        };
        plan_.files_of_stages(*directory_target(root_.get(), remember));
        if (owners_ && known.size() > 0) owners_->know(known);
    }

    // What an image as base would have: scripts append to /environment.
    void first_metadata(FilesTarget& target) {
        for (const SectionFile& f : Metadata::first_files())
            if (target.kind("/" + f.path) == FilesTarget::Kind::none) put("/" + f.path, f.mode, f.text);
        struct stat st;
        for (const auto& [name, to] : Metadata::first_links())
            if (fstatat(root_.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) target.symlink("/" + name, to, 0);
    }

    // ---- %setup -------------------------------------------------------------------------------

    void setup() {
        log::info("Running setup scriptlet");
        const std::string script = below("setup.script");
        write_script(AT_FDCWD, script, *plan_.setup);
        const auto words = script_command(plan_.text, *plan_.setup, script);
        const pid_t child = fork();
        if (child < 0) throw_errno("cannot start", words[0]);
        if (child == 0) {
            for (const char* prefix : {"SINGULARITY_", "APPTAINER_"}) {
                setenv((std::string(prefix) + "ROOTFS").c_str(), rootfs_.c_str(), 1);
                setenv((std::string(prefix) + "ENVIRONMENT").c_str(), (rootfs_ + "/" + environment_path).c_str(), 1);
            }
            if (chdir(plan_.directory.c_str()) != 0) _exit(127);
            if (owners_) try {
                    ownership::ask_supervisor(plan_.work, scope());
                } catch (const Error& e) {
                    log::error(e.message());
                    _exit(127);
                }
            std::vector<char*> argv;
            for (const auto& w : words) argv.push_back(const_cast<char*>(w.c_str()));
            argv.push_back(nullptr);
            execv(argv[0], argv.data());
            _exit(127);
        }
        check_script("setup", wait_for(child));
    }

    static int wait_for(pid_t child) {
        int status = 0;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        return status;
    }

    // A new file in place of whatever stands there; a link is never followed.
    static void write_script(int directory, const std::string& path, const Section& section) {
        (void)unlinkat(directory, path.c_str(), 0);
        const UniqueFd fd(openat(directory, path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755));
        const std::string body = section.body();
        if (!fd || write(fd.get(), body.data(), body.size()) != static_cast<ssize_t>(body.size())) throw_errno("cannot write", path);
    }

    static void write_text(const std::string& path, const std::string& text) {
        const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!fd || write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) throw_errno("cannot write", path);
    }

    void check_script(const std::string& name, int status) {
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
        std::string payload(sizeof(int32_t), '\0');
        const int32_t number = status;
        std::memcpy(payload.data(), &number, sizeof number);
        send_event(session_event::script_failed, payload + name);
        // Who wants the tree reads it now; who does not closes the pipe.
        try {
            changes();
            finish();
        } catch (const Error&) {
        }
        send_event(session_event::ended);
        _exit(1);
    }

    // ---- %post --------------------------------------------------------------------------------

    void post() {
        log::info("Running post scriptlet");
        if (directory_target(root_.get())->kind("/bin/sh") == FilesTarget::Kind::none)
            throw plan_.text.error(plan_.post->at, "%post needs /bin/sh, and the image has none", "Copy a shell in with %files or %setup, or leave %post out.");
        // Files and links of that name are replaced; what is in a directory nobody would want to lose.
        struct stat st;
        if (fstatat(root_.get(), script_path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
            throw plan_.text.error(plan_.post->at, std::string("the image has a directory /") + script_path + ", where the script of %post is put while it runs", "Move it away in %setup, or in the base.");
        write_script(root_.get(), script_path, *plan_.post);
        std::vector<std::string> words = script_command(plan_.text, *plan_.post, std::string("/") + script_path);
        make(below("tmp"), 01777);
        make(below("dev"), 0755);

        runtime::LaunchOptions o;
        o.action = "exec";
        o.arguments = std::move(words);
        o.writable = o.clean_environment = o.no_home = o.pid = true;
        o.cwd = "/";
        o.no_mount = {"tmp", "cwd", "hostfs"};
        if (mount_script_devices(below("dev"))) o.devices = below("dev");
        for (const char* place : {"/tmp", "/var/tmp"}) {
            runtime::Bind b;
            b.source = below("tmp");
            b.destination = place;
            o.binds.push_back(b);
        }
        plan_.share.add_to(o);
        for (const char* prefix : {"SINGULARITY_", "APPTAINER_"}) {
            o.environment.emplace_back(std::string(prefix) + "LABELS", std::string("/") + labels_path);
            o.environment.emplace_back(std::string(prefix) + "ROOTFS", "/");
        }
        o.environment.emplace_back("SINGULARITY_ENVIRONMENT", std::string("/") + environment_path);
        if (owners_) {
            write_text(below("owners.json"), owners_->profile());
            o.security.push_back("seccomp:" + below("owners.json"));
        }
        runtime::ImageFacts facts;
        facts.path = rootfs_;
        facts.arch = plan_.base.arch;
        singularity::detail::copy_text(facts.plan.type, "bind");
        singularity::detail::copy_text(facts.plan.path, rootfs_);
        facts.plan.writable = 1;
        runtime::Machine machine = runtime::this_machine(plan_.prefix, plan_.plugin_directory);
        machine.root = true;  // in this namespace it is
        machine.cwd = "/";
        const runtime::LaunchSpec spec = runtime::make_launch_spec(o, plan_.plugins.settings(), facts, machine);
        for (const auto& w : spec.warnings) log::verbose(w);
        const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null >= 0) dup2(null, STDIN_FILENO);
        const sg_launch_image none{nullptr, nullptr};
        const sg_launch launch{spec.json.c_str(), &none, 1, call_};
        const auto all = plan_.plugins.index().capabilities(CapabilityKind::launcher);
        const std::string chosen = plan_.plugins.settings().text("launcher");
        if (chosen.empty() && all.empty()) throw Error(Code::not_found, "no launcher is registered: nothing can run %post");
        const sg_launcher_v1& launcher = plan_.plugins.launcher(chosen.empty() ? all.front().name : std::string_view(chosen));
        int32_t status = 0;
        try {
            singularity::check([&](sg_error* e) { return launcher.run(&launch, &status, e); });
        } catch (const Error& e) {
            if (e.code() != Code::not_found || plan_.share.binds.empty()) throw;
            throw Error(e.code(), e.message(), "What --bind names must be in the image; %setup can make it: mkdir -p \"$SINGULARITY_ROOTFS/DEST\"");
        }
        check_script("post", status);
    }

    // ---- What came of it ----------------------------------------------------------------------

    std::optional<std::string> text_of(const char* path) {
        const UniqueFd fd = open_inside(root_.get(), path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;
        if (!fd || fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) return std::nullopt;
        if (static_cast<uint64_t>(st.st_size) > most_text) throw Error(Code::limit, std::string("/") + path + " has more than 4 MiB");
        std::string out(static_cast<size_t>(st.st_size), '\0');
        const ssize_t n = read(fd.get(), out.data(), out.size());
        out.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
        return out;
    }

    void results() {
        if (const auto labels = text_of(labels_path)) send_event(session_event::labels, *labels);
        if (const auto environment = text_of(environment_path); environment && plan_.post) send_event(session_event::environment, *environment);
        // Scripts and %files change what the base says of itself: the image tells what is there now.
        OpenedImage now = plan_.plugins.open_image(rootfs_);
        send_event(session_event::metadata, read_base_metadata(now.root()).packed());
    }

    // What a package manager or a script left mounted is not of the image.
    void unmount_below() const {
        std::vector<std::string> points;
        std::ifstream table("/proc/self/mountinfo");
        for (std::string line; std::getline(table, line);) {
            std::istringstream words(line);
            std::string skipped, point;
            words >> skipped >> skipped >> skipped >> skipped >> point;
            if (point.starts_with(rootfs_ + "/")) points.push_back(std::move(point));
        }
        for (auto point = points.rbegin(); point != points.rend(); ++point) (void)umount2(point->c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    }

    void changes() {
        if (!overlaid_) unmount_below();
        const std::string from = overlaid_ ? below("upper") : rootfs_;
        const UniqueFd directory(open(from.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!directory) throw_errno("cannot open", from);
        OverlayTarRules rules;
        rules.is_overlay = overlaid_;
        OwnerRecord record;
        if (owners_) {
            record = owners_->record();
            rules.record = &record;
            rules.recorded_owners = root_only_;
            if (base_owners_)
                rules.base_owner = [this](std::string_view path) -> std::optional<std::pair<uint32_t, uint32_t>> {
                    const auto owner = base_owners_(path);
                    return owner ? std::optional(std::pair(owner->uid, owner->gid)) : std::nullopt;
                };
        }
        rules.leave_out = [](std::string_view path) { return path == script_path || path == labels_path; };
        signal(SIGPIPE, SIG_IGN);
        write_overlay_tar(directory.get(), ends_.tar, rules);
        close(ends_.tar);
    }

    void finish() {
        root_.reset();
        (void)umount2(rootfs_.c_str(), MNT_DETACH);
        (void)umount2(below("base").c_str(), MNT_DETACH);
        (void)umount2(below("dev").c_str(), MNT_DETACH);
        remove_below(plan_.work);
    }

    const SessionPlan& plan_;
    const SessionEnds ends_;
    const sg_call* call_;
    std::optional<ownership::Supervisor> owners_;
    ownership::BaseOwners base_owners_;
    const std::string rootfs_;
    UniqueFd root_;
    bool machine_root_ = false, root_only_ = false, unpack_ = false, overlaid_ = false;
    const sg_host_mount_v1* service_ = nullptr;
    void* server_ = nullptr;
};

}  // namespace

void run_session_child(const SessionPlan& plan, const SessionEnds& ends, const sg_call* call) { Child(plan, ends, call).outer(); }

void remove_below(const std::string& directory) {
    for (const char* name : {"rootfs", "upper", "work", "base", "tmp", "setup.script", "owners", "owners.json"}) {
        const std::string path = directory + "/" + name;
        struct stat st;
        if (lstat(path.c_str(), &st) != 0) continue;
        if (S_ISDIR(st.st_mode))
            remove_tree(path);
        else
            (void)unlink(path.c_str());
    }
    (void)rmdir((directory + "/dev").c_str());  // never what is in it: where a mount stayed, that is the host's
}

}  // namespace sg
