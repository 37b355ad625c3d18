#include "family/layers.hpp"

#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include <cstdio>
#include <cstring>

namespace launcher {
namespace {

const singularity::Host host;

bool is_directory(const std::string& path) {
    struct stat s;
    return ::lstat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode);
}

// A directory of an overlay: a link there could lead anywhere.
void make_part(const std::string& overlay, const char* name, const std::string& shown, mode_t mode) {
    const std::string path = overlay + "/" + name;
    if (is_directory(path)) {
        if (::faccessat(AT_FDCWD, path.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return;
        throw system_error(errno, "overlay " + shown + ": cannot write to its directory", name,
                           errno == EACCES ? "it belongs to somebody else; add ':ro' to only read it" : "add ':ro' to only read it");
    }
    if (::mkdir(path.c_str(), mode) == 0) return;
    const int reason = errno;
    if (reason == EEXIST) throw Error(Code::invalid, "overlay " + shown + ": '" + name + "' in it is no directory");
    throw system_error(reason, "overlay " + shown + ": cannot create in it the directory", name,
                       reason == EROFS || reason == EACCES ? "add ':ro' to only read it" : "");
}

// Linux before 5.11 makes no overlays in user namespaces.
bool before_user_overlays() {
    struct utsname u;
    int major = 0, minor = 0;
    return ::uname(&u) == 0 && std::sscanf(u.release, "%d.%d", &major, &minor) == 2 && (major < 5 || (major == 5 && minor < 11));
}

// A kernel whose module 'overlay' is not loaded, and perhaps not there.
bool lists_overlay() {
    const std::string text = read_file(AT_FDCWD, "/proc/filesystems", 1 << 16);
    return text.find("\toverlay\n") != std::string::npos;
}

// Whether the kernel may refuse a user an overlay, so that fuse-overlayfs must be at hand.
bool overlay_is_doubtful() {
    if (before_user_overlays()) return true;
    try {
        return !lists_overlay();
    } catch (const Error&) {
        return true;  // no /proc
    }
}

bool is_fuse(const std::string& path) {
    struct statfs s;
    return ::statfs(path.c_str(), &s) == 0 && s.f_type == static_cast<decltype(s.f_type)>(FUSE_SUPER_MAGIC);
}

}  // namespace

Layers::Layers(const Spec& spec, const sg_launch& launch) : spec_(spec) {
    for (size_t i = 1; i < spec.images.size(); ++i) {
        const sg_launch_image* reader = launch.images && i < launch.image_count ? &launch.images[i] : nullptr;
        parts_.push_back({i, ImageMount(spec.images[i], reader, spec), "image" + std::to_string(i)});
        // fuse-overlayfs may become necessary for any writable overlay.
        need_programs_ = need_programs_ || spec.images[i].role == Role::overlay || ImageMount::needs_program(spec.images[i], spec, reader && reader->table);
    }
    for (const auto& m : spec.mounts) need_programs_ = need_programs_ || (m.type == "fuse" && !m.in_container);
    // The root is mounted by Rootfs, with a program of ours when nothing else can.
    need_programs_ = need_programs_ || ImageMount::needs_program(spec.images[0], spec, launch.images && launch.image_count > 0 && launch.images[0].table);
    need_programs_ = need_programs_ || (spec.layer == "tmpfs" && spec.user && overlay_is_doubtful());
}

void Layers::prepare() {
    if (need_programs_) programs_ = Programs::start();  // first: it must not keep what is opened later
    for (auto& p : parts_) p.mount.prepare();
}

std::string Layers::place_of(size_t index) const {
    for (const auto& p : parts_)
        if (p.index == index) return session_ + "/" + p.place;
    return {};
}

void Layers::mount(const std::string& session, int session_fd) {
    session_ = session;
    for (auto& p : parts_) {
        const Image& image = p.mount.image();
        if (::mkdirat(session_fd, p.place.c_str(), 0755) != 0) fail("cannot create the session's directory", p.place);
        const std::string path = session + "/" + p.place;
        p.mount.mount(path, programs_.get());
        if (image.role != Role::overlay) continue;
        written_by_program_ = written_by_program_ || p.mount.by_program();
        if (image.writable) {
            if (!upper_.empty()) throw Error(Code::usage, "only one overlay can be written to", "add ':ro' to the others");
            make_part(path, "upper", image.path, 0755);
            make_part(path, "work", image.path, 0755);
            upper_ = p.place + "/upper";
            work_ = p.place + "/work";
        } else {
            // What was once an upper directory; a plain tree is taken as it is.
            lowers_.insert(lowers_.begin(), is_directory(path + "/upper") ? p.place + "/upper" : p.place);
        }
    }
}

void Layers::write_to_memory(int session_fd, mode_t root_mode) {
    if (::mkdirat(session_fd, "upper", root_mode) != 0 || ::mkdirat(session_fd, "work", 0700) != 0) fail("cannot create the session's directories for what is written");
    upper_ = "upper";
    work_ = "work";
}

bool Layers::lay_by_kernel(const std::string& session, const std::string& lowers, std::string& why) const {
    std::string options = "lowerdir=" + lowers;
    if (!upper_.empty()) {
        // It mounts such a thing read-only, after spoiling the work directory.
        if (is_fuse(session + "/" + upper_)) {
            why = "the kernel's overlay cannot write to a file system of FUSE";
            return false;
        }
        options += ",upperdir=" + upper_ + ",workdir=" + work_;
        if (spec_.user) options += ",userxattr";
    }
    if (::chdir(session.c_str()) != 0) fail("cannot enter", session);
    const unsigned long flags = (spec_.allow_setuid ? 0 : MS_NOSUID) | MS_NODEV | (upper_.empty() ? MS_RDONLY : 0);
    if (::mount("overlay", "final", "overlay", flags, options.c_str()) != 0) {
        why = "the kernel's overlay: " + std::string(std::strerror(errno));
        if (spec_.user && errno == EPERM) why += " (in a user namespace it needs Linux 5.11)";
        if (errno == ENODEV) why += " (the module 'overlay' is not there)";
        return false;
    }
    struct statvfs v;
    if (!upper_.empty() && ::statvfs("final", &v) == 0 && (v.f_flag & ST_RDONLY)) {
        (void)::umount2("final", MNT_DETACH);
        why = "the kernel's overlay cannot write to the file system of the upper directory";
        return false;
    }
    return true;
}

void Layers::lay_by_program(const std::string& session, const std::string& lowers, const std::string& why) {
    const std::string program = find_host_program("fuse-overlayfs");
    if (!program.empty() && !programs_)
        throw Error(Code::unsupported, "cannot lay the overlays over the image: " + why, machine_hint("'--overlay DIRECTORY' keeps what is written, by fuse-overlayfs"));
    if (program.empty())
        throw Error(Code::unsupported, "cannot lay the overlays over the image: " + why + ", and there is no fuse-overlayfs",
                    machine_hint("an administrator can install it: apt-get install fuse-overlayfs (dnf install fuse-overlayfs)"));
    std::string options = "lowerdir=" + lowers;
    if (!upper_.empty()) options += ",upperdir=" + upper_ + ",workdir=" + work_;
    options += ",noacl";
    host.log(SG_VERBOSE, "overlay by " + program + ": " + why);
    const Fd mount = programs_->mount({program, "-f", "-o", options, "{}"}, session + "/final", session, {});
    attach_mount(mount.get(), session + "/final", upper_.empty());
}

bool Layers::lay(const std::string& session, bool made) {
    std::string lowers;
    for (const auto& l : lowers_) lowers += l + ":";
    lowers += made ? "lower:root" : "root";
    // Of one directory the kernel makes no overlay.
    if (upper_.empty() && lowers.find(':') == std::string::npos) return false;
    std::string why;
    // What is deleted in an overlay on fuse2fs it marks by names that the kernel does not know.
    if (written_by_program_ && !find_host_program("fuse-overlayfs").empty()) {
        lay_by_program(session, lowers, "an overlay is mounted by a program, and only fuse-overlayfs writes to such a one");
        return true;
    }
    if (lay_by_kernel(session, lowers, why)) {
        if (any()) host.log(SG_VERBOSE, "overlay by the kernel: lowerdir=" + lowers + (upper_.empty() ? "" : ",upperdir=" + upper_));
        return true;
    }
    if (!any()) {
        host.debug(why);
        return false;
    }
    lay_by_program(session, lowers, why);
    return true;
}

}  // namespace launcher
