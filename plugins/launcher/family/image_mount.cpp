#include "family/image_mount.hpp"

#include <sys/mount.h>

#include <cstring>

#include "family/mounts.hpp"
#include "family/namespaces.hpp"

namespace launcher {
namespace {

const singularity::Host host;

constexpr int lock_tries = 100;  // of 20 ms

bool is_ext(const std::string& type) { return type.compare(0, 3, "ext") == 0; }

bool kernel_mounts(const Image& image, const Spec& spec) { return !spec.user && !image.type.empty() && image.type != "bind" && can_mount_in_kernel(); }

std::string name_of(const Image& image) {
    return image.path + (image.offset ? " (at byte " + std::to_string(image.offset) + ")" : "");
}

}  // namespace

bool ImageMount::needs_program(const Image& image, const Spec& spec, bool has_reader) {
    return image.type != "bind" && !has_reader && !kernel_mounts(image, spec);
}

bool ImageMount::has_reader() const {
    return reader_ && reader_->table && singularity::detail::host_table<sg_host_mount_v1>("mount");
}

// One writer or many readers: two kernels' worth of ext3 on one file destroy it. An OFD lock on the partition's
// bytes, as Apptainer takes it; it lives as long as the loop device or the program has the file open.
void ImageMount::lock() {
    file_ = Fd(::open(image_.path.c_str(), (image_.writable ? O_RDWR : O_RDONLY) | O_CLOEXEC));
    if (!file_) fail("cannot open the image", image_.path);
    struct flock l {};
    l.l_type = image_.writable ? F_WRLCK : F_RDLCK;
    l.l_whence = SEEK_SET;
    l.l_start = static_cast<off_t>(image_.offset);
    l.l_len = static_cast<off_t>(image_.size);
    // Who has it may be a program that is just writing the last blocks of a container that has ended.
    for (int tries = 0; ::fcntl(file_.get(), F_OFD_SETLK, &l) != 0; ++tries) {
        if (errno != EAGAIN && errno != EACCES) {  // a file system without locks
            host.debug(system_error(errno, "cannot lock", image_.path).message());
            return;
        }
        if (tries == lock_tries)
            throw Error(Code::permission, "while mounting " + name_of(image_) + ": it is being used by another container",
                        image_.writable ? "one at a time may write to it: add ':ro' to read it only" : "that one writes to it: wait until it has ended");
        ::usleep(20000);
    }
}

void ImageMount::prepare() {
    if (image_.type == "bind") return;
    if (is_ext(image_.type)) lock();
    if (kernel_mounts(image_, spec_) && (image_.writable || !has_reader() || prefers_kernel())) {
        if (!file_) {
            file_ = Fd(::open(image_.path.c_str(), O_RDONLY | O_CLOEXEC));
            if (!file_) fail("cannot open the image", image_.path);
        }
        try {
            loop_ = may_share_loop(image_.type, image_.writable) ? share_loop(image_.path, image_.offset, image_.size)
                                                                 : attach_loop(file_.get(), image_.path, image_.offset, image_.size, image_.writable);
            return;
        } catch (const Error& e) {
            if (!has_reader()) throw;
            host.debug(e.message() + "; using FUSE");
        }
    }
    if (has_reader()) prepare_server();
}

void ImageMount::prepare_server() {
    const auto& service = singularity::detail::need_table<sg_host_mount_v1>("mount");
    const char* const no_places[] = {nullptr};
    sg_mount_view view{};
    view.uid = ::geteuid();
    view.gid = ::getegid();
    view.map_ids = spec_.user && spec_.uids.size() == 1 ? 1 : 0;
    view.places = no_places;
    try {
        singularity::check([&](sg_error* e) { return service.prepare(reader_->table, reader_->root, &view, &server_, e); });
    } catch (const Error& e) {
        throw e.within("while mounting " + name_of(image_));
    }
}

void ImageMount::mount_by_program(const std::string& target, Programs* programs) {
    if (!is_ext(image_.type))
        throw Error(Code::unsupported, "while mounting " + name_of(image_) + ": the kernel cannot mount it for this user and nothing here reads it");
    const std::string program = find_host_program("fuse2fs");
    if (program.empty())
        throw Error(Code::unsupported, "while mounting " + name_of(image_) + ": an ext3 image of an ordinary user needs the program fuse2fs",
                    "an administrator can install it: apt-get install fuse2fs (dnf install fuse2fs); a directory as overlay needs no program");
    std::string options = image_.writable ? "rw" : "ro,norecovery";
    options += ",allow_other,default_permissions";
    if (image_.offset) options += ",offset=" + std::to_string(image_.offset);
    if (!programs) throw Error(Code::internal, "no helper to start fuse2fs with");
    host.log(SG_VERBOSE, "mounting " + name_of(image_) + " by " + program + ", as the kernel does not mount it for this user");
    try {
        const Fd mount = programs->mount({program, "-f", image_.path, "{}", "-o", options}, target, "/", {file_.get()});
        attach_mount(mount.get(), target, !image_.writable);
    } catch (const Error& e) {
        throw e.within("while mounting " + name_of(image_));
    }
}

void ImageMount::mount(const std::string& target, Programs* programs) {
    if (image_.type == "bind") {
        Fd at(::open(target.c_str(), O_PATH | O_CLOEXEC));
        Flags flags;
        flags.no_suid = flags.no_dev = true;
        flags.read_only = !image_.writable;
        std::string warning;
        if (!bind(image_.path, at.get(), flags, warning)) fail("while mounting the directory", image_.path);
        if (!warning.empty()) host.warn(image_.path + ": " + warning);
        return;
    }
    if (loop_) {
        const unsigned long flags = MS_NOSUID | MS_NODEV | (image_.writable ? 0 : MS_RDONLY);
        const char* data = is_ext(image_.type) ? "errors=remount-ro" : nullptr;
        if (::mount(loop_->path.c_str(), target.c_str(), image_.type.c_str(), flags, data) != 0) {
            const int reason = errno;
            throw system_error(reason, "while mounting", name_of(image_) + " (" + image_.type + ")",
                               "dmesg tells why; this kernel may lack the file system or its compressor, or the image may be damaged");
        }
        loop_.reset();  // the mount holds the device now, and the device the file with its lock
        file_.reset();
        return;
    }
    if (!server_) return mount_by_program(target, programs);
    const auto& service = singularity::detail::need_table<sg_host_mount_v1>("mount");
    void* server = std::exchange(server_, nullptr);
    singularity::check([&](sg_error* e) { return service.attach(server, target.c_str(), e); });
}

}  // namespace launcher
