#include "family/rootfs.hpp"

#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <climits>

#include "family/device_tree.hpp"
#include "family/file_tree.hpp"
#include "family/id_maps.hpp"
#include "family/identity.hpp"
#include "family/namespaces.hpp"
#include "family/resolve.hpp"

namespace launcher {
namespace {

const singularity::Host host;

// True when `path` is `top` or below it.
bool is_below(const std::string& path, const std::string& top) {
    return top == "/" || (path.compare(0, top.size(), top) == 0 && (path.size() == top.size() || path[top.size()] == '/'));
}

std::string fuse_hint() {
    struct stat s;
    if (::stat("/dev/fuse", &s) != 0) return "the kernel module 'fuse' makes /dev/fuse; an administrator can load it: modprobe fuse";
    if ((s.st_mode & 06) != 06)
        return "/dev/fuse is not open to every user; an administrator can change that: chmod 0666 /dev/fuse";
    return {};
}

void make_directory(int at, const std::string& name, mode_t mode) {
    if (::mkdirat(at, name.c_str(), mode) != 0 && errno != EEXIST) fail("cannot create the session's directory", name);
}

// A link shown at the destination is followed from there.
bool link_leads_inside(const Mount& m, int root) {
    char text[4096];
    const ssize_t n = ::readlink(m.source.c_str(), text, sizeof text);
    if (n <= 0 || n == sizeof text) return false;
    const std::string target(text, static_cast<size_t>(n));
    return static_cast<bool>(open_inside(root, target[0] == '/' ? target : parent_path(m.destination) + "/" + target));
}

}  // namespace

bool Rootfs::has_reader() const {
    return launch_.image_count > 0 && launch_.images && launch_.images[0].table &&
           singularity::detail::host_table<sg_host_mount_v1>("mount");
}

void Rootfs::prepare(pid_t lives) {
    // The kernel lets only the user namespace of a FUSE mount, and those below it, into the mount.
    const bool below = !maps_only_the_caller(spec_);
    const bool joined = join(lives);
    if (spec_.user && (!joined || below)) enter_user_namespace(spec_);
    layers_.prepare();
    if (shared_ || image().type == "bind") return;
    if (!image().type.empty() && ImageMount::needs_program(image(), spec_, has_reader())) {
        served_ = image();
        served_.writable = image().writable && !spec_.read_only;
        by_program_.emplace(served_, nullptr, spec_);
        by_program_->prepare();
        return;
    }
    const bool writable = image().writable && !spec_.read_only;
    if (!spec_.user && !image().type.empty() && can_mount_in_kernel() && (writable || !has_reader() || prefers_kernel())) {
        try {
            loop_ = may_share_loop(image().type, writable) ? share_loop(image().path, image().offset, image().size)
                                                   : attach_loop(image().path, image().offset, image().size, writable);
            old_namespace_ = Fd(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
            return;
        } catch (const Error& e) {
            if (!has_reader()) throw;
            host.debug(e.message() + "; using FUSE");
        }
    }
    prepare_server();
}

// What the host's server is to show, for the time of the call.
template <class Use>
void Rootfs::with_view(Use&& use) const {
    // The server shows these as empty places when the image lacks them, so that no overlay is needed.
    std::vector<std::string> texts;
    for (const auto& m : spec_.mounts)
        if (m.create && spec_.layer != "none") texts.push_back(m.destination + (m.directory ? "/" : ""));
    std::vector<const char*> places;
    for (const auto& t : texts) places.push_back(t.c_str());
    places.push_back(nullptr);
    sg_mount_view view{};
    view.uid = ::geteuid();
    view.gid = ::getegid();
    view.map_ids = spec_.user && spec_.uids.size() == 1 ? 1 : 0;
    view.places = places.data();
    use(view);
}

void Rootfs::prepare_server() {
    if (!has_reader())
        throw Error(Code::unsupported, "while mounting " + image().path + ": the kernel cannot mount it for this user and nothing here reads it");
    const auto& service = singularity::detail::need_table<sg_host_mount_v1>("mount");
    try {
        with_view([&](const sg_mount_view& view) {
            singularity::check([&](sg_error* e) {
                return service.prepare(launch_.images[0].table, launch_.images[0].root, &view, &server_, e);
            });
        });
    } catch (const Error& e) {
        throw Error(e.code(), "while mounting " + image().path + ": " + e.message(), machine_hint(e.hint().empty() ? fuse_hint() : e.hint()), e.detail());
    }
}

bool Rootfs::join(pid_t lives) {
    const int64_t linger = host.integer("mount.linger", 0);
    const auto* service = singularity::detail::host_table<sg_host_mount_v2>("mount", 2);
    // A user namespace with other ids than the caller's in it belongs to its container alone.
    if (linger <= 0 || !service || !has_reader() || image().type == "bind" || ::geteuid() == 0 || !spec_.user || !are_own_ids(spec_)) return false;
    try {
        with_view([&](const sg_mount_view& view) {
            const sg_mount_share share{image().offset, lives, static_cast<uint32_t>(std::min<int64_t>(linger, 86400))};
            int32_t mount = -1;
            singularity::check([&](sg_error* e) {
                return service->join(launch_.images[0].table, launch_.images[0].root, &view, &share, &mount, e);
            });
            shared_ = Fd(mount);
        });
    } catch (const Error& e) {
        if (e.code() != Code::unsupported) throw;
        host.debug(e.message());
        return false;
    }
    return true;
}

void Rootfs::start_shared_server() {
    if (::geteuid() == 0) return;
    const pid_t child = ::fork();  // who joins is in the server's user namespace
    if (child == 0) {
        try {
            (void)join(::getpid());
        } catch (const Error&) {  // the container's own process says it
        }
        ::_exit(0);
    }
    while (child > 0 && ::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
}

bool Rootfs::mount_with_kernel(const std::string& target) {
    const bool writable = image().writable && !spec_.read_only;
    const unsigned long flags = (spec_.allow_setuid ? 0 : MS_NOSUID) | MS_NODEV | (writable ? 0 : MS_RDONLY);
    return ::mount(loop_->path.c_str(), target.c_str(), image().type.c_str(), flags, nullptr) == 0;
}

// The kernel lacks the file system or its compressor: the host's server can still read it. It must live in
// the namespace that we came from, or it would keep the mount alive that its end depends on.
void Rootfs::serve_in_old_namespace(const std::string& target) {
    Fd here(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
    if (!here || !old_namespace_ || ::setns(old_namespace_.get(), CLONE_NEWNS) != 0) fail("cannot go back to the mount namespace of the caller");
    prepare_server();
    if (::setns(here.get(), CLONE_NEWNS) != 0) fail("cannot enter the container's mount namespace");
    const auto& service = singularity::detail::need_table<sg_host_mount_v1>("mount");
    singularity::check([&](sg_error* e) { return service.attach(server_, target.c_str(), e); });
}

void Rootfs::mount_image() {
    make_directory(session_.fd.get(), "root", 0755);
    root_path_ = session_.path + "/root";
    if (image().type == "bind") {
        Fd target(::open(root_path_.c_str(), O_PATH | O_CLOEXEC));
        Flags flags;
        flags.no_suid = !spec_.allow_setuid;
        flags.no_dev = true;
        flags.read_only = spec_.read_only && spec_.layer != "tmpfs";
        flags.recursive = false;
        std::string warning;
        if (!bind(image().path, target.get(), flags, warning)) fail("while mounting the directory", image().path);
        if (!warning.empty()) host.warn(image().path + ": " + warning);
    } else if (by_program_) {
        by_program_->mount(root_path_, layers_.programs());
    } else if (loop_) {
        if (!mount_with_kernel(root_path_)) {
            const int reason = errno;
            loop_.reset();
            const Error error = system_error(reason, "while mounting", image().path + " (" + image().type + ")",
                                             "dmesg tells why; this kernel may lack the file system or its compressor");
            if (!has_reader()) throw error;
            host.debug(error.message() + "; using FUSE");
            serve_in_old_namespace(root_path_);
        }
        loop_.reset();  // the mount holds the device now
    } else if (shared_) {
        Fd target(::open(root_path_.c_str(), O_PATH | O_CLOEXEC));
        if (!target || !put_mount(shared_.get(), target.get())) fail("while mounting", image().path);
        shared_.reset();
    } else {
        const auto& service = singularity::detail::need_table<sg_host_mount_v1>("mount");
        void* server = std::exchange(server_, nullptr);
        singularity::check([&](sg_error* e) { return service.attach(server, root_path_.c_str(), e); });
    }
    root_ = Fd(::open(root_path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root_) fail("cannot open the mounted image", image().path, errno == ENOTCONN ? "its file system server has just ended: try again" : "");
}

// Mounts whose destination the image lacks and no earlier mount brings.
std::vector<const Mount*> Rootfs::absent(int root) const {
    std::vector<const Mount*> out;
    for (size_t i = 0; i < spec_.mounts.size(); ++i) {
        const Mount& m = spec_.mounts[i];
        if (!m.create) continue;
        bool covered = false;
        for (size_t k = 0; k < i && !covered; ++k) covered = is_below(m.destination, spec_.mounts[k].destination);
        if (!covered && !open_inside(root, m.destination, !m.replace_link)) out.push_back(&m);
    }
    return out;
}

// Makes the destination in the layer above the image; directories that the image has keep their looks.
void Rootfs::make_place(int lower, int root, const Mount& mount) {
    Reached reached = reach_inside(root, mount.destination);
    if (reached.missing.empty()) return;
    char text[4096];
    const ssize_t n = ::readlink(fd_path(reached.fd.get()).c_str(), text, sizeof text);
    if (n < 0) fail("cannot read the name of a directory for", mount.destination);
    std::string base(text, static_cast<size_t>(n));
    if (!is_below(base, root_path_)) throw Error(Code::internal, base + " is not in the image");
    base.erase(0, root_path_.size());
    std::string path = ".";
    const auto descend = [&](const std::string& relative, bool in_image) {
        for (size_t at = 0; at < relative.size();) {
            const size_t end = std::min(relative.find('/', at), relative.size());
            if (end > at) {
                path += "/" + relative.substr(at, end - at);
                const bool last = !in_image && end == relative.size();
                if (last && !mount.directory) {
                    Fd made(::openat(lower, path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
                    if (!made) fail("cannot create the mount point", mount.destination);
                } else if (::mkdirat(lower, path.c_str(), 0755) == 0) {
                    struct stat s;
                    if (in_image && ::fstatat(root, path.c_str(), &s, AT_SYMLINK_NOFOLLOW) == 0) {
                        (void)!::fchownat(lower, path.c_str(), s.st_uid, s.st_gid, AT_SYMLINK_NOFOLLOW);
                        (void)!::fchmodat(lower, path.c_str(), s.st_mode & 07777, 0);
                        const timespec times[2] = {s.st_mtim, s.st_mtim};
                        (void)::utimensat(lower, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
                    }
                } else if (errno != EEXIST) {
                    fail("cannot create the mount point", mount.destination);
                }
            }
            at = end + 1;
        }
    };
    struct stat s;
    if (::fstat(reached.fd.get(), &s) != 0 || !S_ISDIR(s.st_mode))
        throw Error(Code::not_found, "destination " + mount.destination + " doesn't exist in container: " + base + " is no directory");
    descend(base, true);
    descend(reached.missing, false);
}

void Rootfs::lay_over(const std::vector<const Mount*>& absent) {
    struct stat s;
    if (::fstat(root_.get(), &s) != 0) fail("cannot look at", root_path_);
    if (!absent.empty()) {
        make_directory(session_.fd.get(), "lower", 0755);
        // The root of the upper-most directory is what people see.
        (void)!::fchmodat(session_.fd.get(), "lower", s.st_mode & 07777, 0);
        (void)!::fchownat(session_.fd.get(), "lower", s.st_uid, s.st_gid, 0);
        Fd lower(::openat(session_.fd.get(), "lower", O_PATH | O_DIRECTORY | O_CLOEXEC));
        for (const Mount* m : absent) {
            try {
                make_place(lower.get(), root_.get(), *m);
            } catch (const Error& e) {
                host.debug(e.message());  // apply() says it in the mount's own terms
            }
        }
    }
    make_directory(session_.fd.get(), "final", 0755);
    if (spec_.layer == "tmpfs" && !layers_.writable()) layers_.write_to_memory(session_.fd.get(), s.st_mode & 07777);
    if (!layers_.lay(session_.path, !absent.empty())) return;  // each mount whose destination is missing speaks for itself
    root_path_ = session_.path + "/final";
    root_ = Fd(::open(root_path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root_) fail("cannot open", root_path_);
}

std::string Rootfs::generated(const Mount& m, int root) {
    const std::string name = "file" + std::to_string(counter_++);
    std::string text = m.content;
    if (m.source == "passwd" || m.source == "group") {
        Fd original = open_inside(root, m.destination);
        struct stat s;
        // A FIFO would never end, a device says nothing of users.
        if (!original || ::fstat(original.get(), &s) != 0 || !S_ISREG(s.st_mode)) {
            if (original) host.debug(m.destination + " of the image is no regular file and stays as it is");
            return {};
        }
        text = read_file(AT_FDCWD, fd_path(original.get()), 16u << 20);
        text = m.source == "passwd" ? passwd_text(text, spec_.user_entry) : group_text(text, spec_.user_entry.name, spec_.groups);
    }
    write_file(session_.fd.get(), name, text, 0644);
    return session_.path + "/" + name;
}

// The source of a mount that has none on the host: made in the session's memory.
std::string Rootfs::staged(const Mount& m) {
    const std::string name = "dir" + std::to_string(counter_++);
    make_directory(session_.fd.get(), name, m.mode);
    if (::fchmodat(session_.fd.get(), name.c_str(), m.mode, 0) != 0) fail("cannot set the mode of", name);
    const std::string path = session_.path + "/" + name;
    if (m.type == "dev") make_device_tree(path, m.devices, m.terminals, spec_);
    if (m.type == "files") show_files(path, m.sources);
    return path;
}

// A part of a data image; its links stay in it as well.
bool Rootfs::bind_of_image(const Mount& m, int target, const Flags& flags, std::string& warning) const {
    const std::string place = layers_.place_of(m.image);
    const Fd top(::open(place.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!top) fail("cannot open the mounted image", place);
    const Fd source = open_inside(top.get(), m.source);
    if (!source)
        throw Error(Code::not_found, "while mounting " + spec_.images[m.image].path + " on " + m.destination + ": there is no " + m.source + " in the image");
    return bind(fd_path(source.get()), target, flags, warning);
}

// --fusemount: a program of the host serves it, or one of the container, which starts when all is mounted.
bool Rootfs::mount_fuse(const Mount& m, int target) {
    if (m.in_container) {
        container_programs_.push_back(prepare_container_program(m.command, target));
        return true;
    }
    const std::string name = "fuse" + std::to_string(counter_++);
    make_directory(session_.fd.get(), name, 0755);
    std::vector<std::string> words = m.command;
    if (words[0].find('/') == std::string::npos) words[0] = find_host_program(words[0]);
    if (words[0].empty()) throw Error(Code::not_found, "--fusemount: there is no program " + m.command[0] + " on this machine");
    words.push_back("{}");
    if (!m.daemon) words.push_back("-f");
    const Fd mount = layers_.programs()->mount(words, session_.path + "/" + name, "/", {});
    attach_mount(mount.get(), target);
    return true;
}

// A directory of the image that can be written to: an overlay of its own, so that nothing is copied.
bool Rootfs::mount_volume(int target, std::string& warning) {
    struct stat s;
    if (::fstat(target, &s) != 0) return false;
    const std::string name = "volume" + std::to_string(counter_++), upper = name + "/upper", work = name + "/work";
    make_directory(session_.fd.get(), name, 0755);
    make_directory(session_.fd.get(), upper, 0755);
    make_directory(session_.fd.get(), work, 0700);
    (void)!::fchownat(session_.fd.get(), upper.c_str(), s.st_uid, s.st_gid, 0);
    if (::fchmodat(session_.fd.get(), upper.c_str(), s.st_mode & 07777, 0) != 0) fail("cannot set the mode of", upper);
    const std::string options = "lowerdir=" + fd_path(target) + ",upperdir=" + session_.path + "/" + upper + ",workdir=" + session_.path + "/" + work;
    // An overlay clones the mount below it, which an unbindable one refuses (build()).
    const bool shown = ::mount(nullptr, root_path_.c_str(), nullptr, MS_PRIVATE, nullptr) == 0 &&
                       mount_new("overlay", target, MS_NOSUID | MS_NODEV, options + (spec_.user ? ",userxattr" : ""));
    const int reason = errno;
    if (::mount(nullptr, root_path_.c_str(), nullptr, MS_UNBINDABLE, nullptr) != 0) fail("cannot set the propagation of", root_path_);
    if (shown) return true;
    warning = "an empty directory is shown, as the kernel lays no overlay here: " + system_error(reason, "overlay").message();
    Flags flags;
    flags.no_suid = flags.no_dev = true;
    return bind(session_.path + "/" + upper, target, flags, warning);
}

bool Rootfs::apply_at(const Mount& m, int target, std::string& warning) {
    if (m.only_place) return true;
    Flags flags{m.recursive, m.read_only, m.no_suid, m.no_dev, m.no_exec};
    if (m.type == "bind") {
        flags.keep_link = m.keep_link && link_leads_inside(m, root_.get());
        return bind(m.source, target, flags, warning);
    }
    if (m.type == "image") return bind_of_image(m, target, flags, warning);
    if (m.type == "fuse") return mount_fuse(m, target);
    if (m.type == "volume") return mount_volume(target, warning);
    if (m.type == "generated") {
        const std::string source = generated(m, root_.get());
        return source.empty() || bind(source, target, flags, warning);
    }
    if (m.type == "session" || m.type == "dev" || m.type == "files") {
        flags.recursive = m.type != "session";
        return bind(staged(m), target, flags, warning);
    }
    const unsigned long ms = MS_NOSUID | MS_NODEV;
    if (m.type == "proc") {
        if (mount_new("proc", target, ms | MS_NOEXEC, "")) return true;
        // Where parts of /proc are hidden (a container around us) the kernel allows no new one.
        warning = "the host's processes are shown, a new /proc is not allowed here";
        flags.recursive = true;
        return bind("/proc", target, flags, warning);
    }
    if (m.type == "sysfs") {
        if (mount_new("sysfs", target, ms | MS_NOEXEC, "")) return true;
        flags.recursive = true;
        return bind("/sys", target, flags, warning);
    }
    if (m.type == "tmpfs") return mount_new("tmpfs", target, ms, m.content);
    throw Error(Code::unsupported, "the LaunchSpec wants a mount of type '" + m.type + "', which this launcher does not know");
}

// Without a layer no place can be made in the image. The top directory on the way to a home (/home) is then covered by one of the
// session's, where it can, as Apptainer does. False when the image lacks that one, too.
bool Rootfs::cover_top(const Mount& m) {
    const size_t slash = m.destination.find('/', 1);
    if (slash == std::string::npos) return false;
    const Fd target = open_inside(root_.get(), m.destination.substr(0, slash));
    struct stat s;
    if (!target || ::fstat(target.get(), &s) != 0 || !S_ISDIR(s.st_mode)) return false;
    std::string path = "top";
    make_directory(session_.fd.get(), path, 0755);
    for (size_t at = slash; at < m.destination.size();) {
        const size_t end = std::min(m.destination.find('/', at + 1), m.destination.size());
        path += m.destination.substr(at, end - at);
        make_directory(session_.fd.get(), path, 0755);
        at = end;
    }
    std::string warning;
    Flags flags;
    flags.no_suid = flags.no_dev = true;
    return bind(session_.path + "/top", target.get(), flags, warning);
}

// The mount that an open file lies in.
static std::string mount_of(int fd) {
    const std::string text = read_file(AT_FDCWD, "/proc/self/fdinfo/" + std::to_string(fd), 4096);
    const size_t at = text.find("mnt_id:");
    return at == std::string::npos ? std::string() : text.substr(at, text.find('\n', at) - at);
}

// The name by which the kernel knows an open file here.
static std::string name_of(int fd) {
    char text[PATH_MAX];
    const ssize_t n = ::readlink(fd_path(fd).c_str(), text, sizeof text);
    return n < 0 ? std::string() : std::string(text, static_cast<size_t>(n));
}

// A missing destination below a mount is made there: in the session's memory (/tmp with --contain) for all mounts, in a directory of
// the host for those that the user asked for and for the directory that he stands in. Nothing is written to the image, nor to /dev, and
// no link of the image chooses the place.
// False when it is not there in the end, with `why` if it could not be made.
bool Rootfs::make_below_mount(const Mount& m, std::string& why) {
    std::vector<std::string> missing;
    std::string at = m.destination;
    Fd directory;
    while (!(directory = open_inside(root_.get(), at))) {
        if (errno != ENOENT || at == "/") return false;
        missing.push_back(at.substr(at.rfind('/') + 1));
        at = parent_path(at);
    }
    struct stat here, memory;
    if (::fstat(directory.get(), &here) != 0 || ::fstat(session_.fd.get(), &memory) != 0 || !S_ISDIR(here.st_mode)) return false;
    if (here.st_dev != memory.st_dev) {
        const bool asked = m.missing == Missing::fail || m.tag == "cwd";
        const bool of_kernel = is_below(at, "/dev") || is_below(at, "/proc") || is_below(at, "/sys");
        if (!asked || of_kernel || mount_of(directory.get()) == mount_of(root_.get())) return false;
        if (name_of(directory.get()) != name_of(root_.get()) + at) return false;
    }
    for (auto name = missing.rbegin(); name != missing.rend(); ++name) {
        Fd made;
        if (name + 1 == missing.rend() && !m.directory)
            made = Fd(::openat(directory.get(), name->c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644));
        else if (::mkdirat(directory.get(), name->c_str(), 0755) == 0 || errno == EEXIST)  // another start may be faster
            made = Fd(::openat(directory.get(), name->c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!made) {
            why = "it cannot be made in what is mounted at " + at + ": " + std::strerror(errno);
            return false;
        }
        directory = std::move(made);
    }
    return true;
}

// In some images one of /tmp and /var/tmp is a link to the other: what the first one brought stays to be seen.
bool Rootfs::is_earlier_tmp(const Mount& m, int target) const {
    struct stat here, other;
    if (m.tag != "tmp" || ::fstat(target, &here) != 0) return false;
    for (const Mount& earlier : spec_.mounts) {
        if (&earlier == &m) break;
        if (earlier.tag != "tmp") continue;
        const Fd place = open_inside(root_.get(), earlier.destination);
        if (place && ::fstat(place.get(), &other) == 0 && other.st_dev == here.st_dev && other.st_ino == here.st_ino) return true;
    }
    return false;
}

void Rootfs::apply(const Mount& m) {
    const std::string what = m.source.empty() || m.source[0] != '/' ? m.type : m.source;
    Fd target = open_inside(root_.get(), m.destination, !m.replace_link);
    std::string why;
    if (!target && errno == ENOENT && m.create) {
        if (make_below_mount(m, why)) target = open_inside(root_.get(), m.destination, !m.replace_link);
        if (!target) errno = ENOENT;
    }
    if (!target && errno == ENOENT && m.tag == "home" && why.empty()) {
        if (cover_top(m)) target = open_inside(root_.get(), m.destination);
        if (!target) errno = ENOENT;
    }
    if (!target) {
        if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
            fail("while mounting " + what + ": cannot reach in the container", m.destination,
                 errno == EIO ? "the image may be damaged: dmesg tells more" : "");
        if (m.missing == Missing::fail)
            throw Error(Code::not_found, "while mounting " + what + ": destination " + m.destination + " doesn't exist in container",
                        spec_.layer != "none" || !why.empty() ? why
                                              : "with --writable nothing is made for mounts: make it in the image first" +
                                                    std::string(m.tag == "home" ? ", or leave the home out by --no-home" : ""));
        if (m.missing == Missing::warn)
            host.warn("Skipping mount " + what + " [" + m.tag + "]: " + m.destination + " doesn't exist in container");
        return;
    }
    if (is_earlier_tmp(m, target.get())) return;
    if (m.unless_same) {
        struct stat a, b;
        if (::stat(m.source.c_str(), &a) == 0 && ::fstat(target.get(), &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino) return;
    }
    std::string warning;
    bool done = apply_at(m, target.get(), warning);
    if (!done && errno == ENOENT) {  // Linux 6.18: a bind can fail once where several processes look a name up at first
        target = open_inside(root_.get(), m.destination, !m.replace_link);
        done = target && apply_at(m, target.get(), warning);
    }
    if (!done && m.replace_link) {  // a kernel that refuses to cover a link: what the link names
        target = open_inside(root_.get(), m.destination);
        done = target && apply_at(m, target.get(), warning);
    }
    if (!done) {
        const int reason = errno;
        struct stat source, at;
        const bool differ = m.type == "bind" && ::stat(m.source.c_str(), &source) == 0 && target && ::fstat(target.get(), &at) == 0 && S_ISDIR(source.st_mode) != S_ISDIR(at.st_mode);
        const Error error = system_error(differ ? ENOTDIR : reason, "while mounting " + what + " on", m.destination,
                                         differ ? "a file can only lie on a file and a directory on a directory" : "");
        if (m.missing == Missing::fail) throw error;
        if (m.missing == Missing::warn) host.warn("Skipping mount " + what + " [" + m.tag + "]: " + error.message());
        return;
    }
    if (!warning.empty()) host.warn(m.destination + ": " + warning);
}

void Rootfs::build() {
    set_propagation(spec_.propagation);
    const mode_t mask = ::umask(0);
    session_ = make_session(spec_.session_places, spec_.session_bytes);
    mount_image();
    layers_.mount(session_.path, session_.fd.get());
    if (spec_.layer != "none") {
        const auto missing = absent(root_.get());
        if (!missing.empty() || spec_.layer == "tmpfs" || layers_.any()) lay_over(missing);
    }
    // A recursive bind of a host directory that the session happens to lie below (an installation in /tmp, say)
    // must not show the container itself to the container. enter() takes it back.
    std::vector<std::string> own = {session_.path + "/root", root_path_};
    for (size_t i = 1; i < spec_.images.size(); ++i)
        if (spec_.images[i].role == Role::overlay) own.push_back(layers_.place_of(i));  // data is still to be bound
    for (const std::string& path : own)
        if (::mount(nullptr, path.c_str(), nullptr, MS_UNBINDABLE, nullptr) != 0) fail("cannot set the propagation of", path);
    for (const auto& m : spec_.mounts) apply(m);
    ::umask(mask);
}

const std::string& Rootfs::hand_over() {
    if (::mount(nullptr, root_path_.c_str(), nullptr, MS_PRIVATE, nullptr) != 0) fail("cannot set the propagation of", root_path_);
    return root_path_;
}

void Rootfs::enter() {
    if (::fchdir(root_.get()) != 0) fail("cannot enter the container's root");
    // The old root lands on the new one and is taken away from there: no directory for it is needed.
    if (::syscall(SYS_pivot_root, ".", ".") == 0) {
        if (::umount2(".", MNT_DETACH) != 0) fail("cannot leave the host's root");
    } else {
        // The root of a diskless node is the kernel's first memory file system, which cannot be pivoted.
        if (::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0) fail("cannot make the container's root the root");
        if (::chroot(".") != 0) fail("cannot change the root");
    }
    if (::chdir("/") != 0) fail("cannot enter the container's root");
    if (::mount(nullptr, "/", nullptr, MS_PRIVATE, nullptr) != 0) fail("cannot set the propagation of", "/");
    session_.fd.reset();
    root_.reset();
    old_namespace_.reset();
}

}  // namespace launcher
