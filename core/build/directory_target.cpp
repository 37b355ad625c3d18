// Files into a directory of this machine: every path is resolved by the kernel, inside of it.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "build/files_copy.hpp"
#include "build/inside.hpp"

namespace sg {

UniqueFd open_inside(int root, const std::string& path, uint64_t flags, uint64_t mode) {
    open_how how{};
    how.flags = flags | O_CLOEXEC;
    how.mode = mode;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    return UniqueFd(static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
}

namespace {

void set_times(int fd, int64_t mtime) {
    const timespec times[2] = {{mtime, 0}, {mtime, 0}};
    (void)!futimens(fd, times);
}

class DirectoryTarget final : public FilesTarget {
public:
    DirectoryTarget(int root, Unowned unowned) : root_(root), unowned_(std::move(unowned)) {}

    Kind kind(const std::string& path) override {
        const UniqueFd fd = open_inside(root_, path, O_PATH);
        if (!fd) {
            if (errno == ENOENT || errno == ENOTDIR) return Kind::none;
            throw_errno("cannot look at", path + " in the image");
        }
        struct stat st;
        if (fstat(fd.get(), &st) != 0) throw_errno("cannot look at", path + " in the image");
        return S_ISDIR(st.st_mode) ? Kind::directory : S_ISREG(st.st_mode) ? Kind::file : Kind::other;
    }

    void directory(const std::string& path, uint32_t permissions, int64_t mtime) override {
        if (kind(path) == Kind::directory) return;
        const auto [parent, name] = place(path);
        if (mkdirat(parent.get(), name.c_str(), 0700) != 0) throw_errno("cannot create the directory", path + " in the image");
        const UniqueFd fd(openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!fd || fchmod(fd.get(), permissions) != 0) throw_errno("cannot set the mode of", path + " in the image");
        set_times(fd.get(), mtime);
    }

    void file(const std::string& path, uint32_t permissions, int64_t mtime, const Bytes& bytes) override {
        const auto stream = bytes.source.open(bytes.path);
        bool fresh = false;
        UniqueFd fd = open_inside(root_, path, O_WRONLY | O_TRUNC | O_NONBLOCK);
        if (!fd) {
            const auto [parent, name] = place(path);
            (void)unlinkat(parent.get(), name.c_str(), 0);  // a link that leads nowhere
            fd = UniqueFd(openat(parent.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
            fresh = true;
        }
        if (!fd) throw_errno("cannot write", path + " in the image");
        struct stat st;
        if (fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) throw Error(Code::invalid, path + " in the image is no regular file");
        uint64_t left = bytes.size;
        while (left > 0) {
            const singularity::Slice s = stream->next();
            if (s.size() == 0 || s.size() > left) throw Error(Code::io, bytes.source.shown(bytes.path) + " changed while it was copied");
            write_all(fd.get(), s, path);
            left -= s.size();
        }
        if (fresh && fchmod(fd.get(), permissions) != 0) throw_errno("cannot set the mode of", path + " in the image");
        set_times(fd.get(), mtime);
    }

    void symlink(const std::string& path, const std::string& target, int64_t) override {
        const auto [parent, name] = place(path);
        (void)unlinkat(parent.get(), name.c_str(), 0);
        if (symlinkat(target.c_str(), parent.get(), name.c_str()) != 0) throw_errno("cannot create the link", path + " in the image");
    }

    void give(const std::string& path, uint32_t mode, uint32_t uid, uint32_t gid) override {
        UniqueFd fd;
        if (S_ISLNK(mode)) {
            const auto [parent, name] = place(path);
            fd = UniqueFd(openat(parent.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        } else {
            fd = open_inside(root_, path, O_PATH);
        }
        if (!fd) throw_errno("cannot look at", path + " in the image");
        struct stat st;
        if (fstat(fd.get(), &st) != 0) throw_errno("cannot look at", path + " in the image");
        if ((st.st_uid != uid || st.st_gid != gid) && fchownat(fd.get(), "", uid, gid, AT_EMPTY_PATH) != 0) {
            if (errno != EINVAL && errno != EPERM) throw_errno("cannot set the owner of", path + " in the image");
            if (unowned_) unowned_(fd.get(), uid, gid);
        }
        // After the owner: a change of that takes set-user-id away.
        if (!S_ISLNK(mode) && chmod(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), mode & 07777) != 0)
            throw_errno("cannot set the mode of", path + " in the image");
    }

    void link(const std::string& path, const std::string& first) override {
        const UniqueFd fd = open_inside(root_, first, O_PATH);
        if (!fd) throw_errno("cannot look at", first + " in the image");
        const auto [parent, name] = place(path);
        (void)unlinkat(parent.get(), name.c_str(), 0);
        if (linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(fd.get())).c_str(), parent.get(), name.c_str(), AT_SYMLINK_FOLLOW) != 0)
            throw_errno("cannot create the link", path + " in the image");
    }

private:
    static void write_all(int fd, const singularity::Slice& s, const std::string& path) {
        static const std::string zeros(1 << 16, '\0');
        for (uint64_t at = 0; at < s.size();) {
            const void* from = s.data() ? static_cast<const char*>(static_cast<const void*>(s.data())) + at : zeros.data();
            const size_t size = static_cast<size_t>(s.data() ? s.size() - at : std::min<uint64_t>(s.size() - at, zeros.size()));
            const ssize_t n = write(fd, from, size);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno("cannot write", path + " in the image");
            at += static_cast<uint64_t>(n);
        }
    }

    // The directory above `path`, made when missing, and the last name.
    std::pair<UniqueFd, std::string> place(const std::string& path) {
        const size_t slash = path.rfind('/');
        const std::string above = slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
        const std::string name = path.substr(slash + 1);
        if (name.empty() || name == "." || name == "..") throw Error(Code::invalid, "'" + path + "' names no file");
        UniqueFd fd = open_inside(root_, above, O_PATH | O_DIRECTORY);
        if (!fd && errno == ENOENT && above != "/") {
            directory(above, 0755, 0);
            fd = open_inside(root_, above, O_PATH | O_DIRECTORY);
        }
        if (!fd) throw_errno("cannot reach", above + " in the image");
        return {std::move(fd), name};
    }

    int root_;
    Unowned unowned_;
};

}  // namespace

std::unique_ptr<FilesTarget> directory_target(int root, Unowned unowned) { return std::make_unique<DirectoryTarget>(root, std::move(unowned)); }

}  // namespace sg
