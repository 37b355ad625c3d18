#include "rootfs/overlay_tar.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace sg {

namespace {

constexpr std::string_view overlay_prefixes[] = {"trusted.overlay.", "user.overlay."};

struct FreeArchive {
    void operator()(archive* a) const { archive_write_free(a); }
};
struct FreeEntry {
    void operator()(archive_entry* e) const { archive_entry_free(e); }
};

std::vector<std::string> sorted_names(int directory, const std::string& shown) {
    const int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0) throw_errno("cannot read the directory", shown);
    DIR* d = fdopendir(copy);
    if (!d) {
        close(copy);
        throw_errno("cannot read the directory", shown);
    }
    std::vector<std::string> out;
    errno = 0;
    while (const dirent* e = readdir(d)) {
        const std::string_view name = e->d_name;
        if (name != "." && name != "..") out.emplace_back(name);
    }
    const int error = errno;
    closedir(d);
    if (error != 0) throw system_error(error, "cannot read the directory", shown);
    std::sort(out.begin(), out.end());
    return out;
}

// The name by which a system call reaches an O_PATH descriptor's file itself, link or not.
std::string by_descriptor(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

class Walk {
public:
    Walk(int out, const OverlayTarRules& rules) : rules_(rules), archive_(archive_write_new()), buffer_(1 << 20) {
        archive* a = archive_.get();
        if (!a || archive_write_set_format_pax(a) != ARCHIVE_OK || archive_write_add_filter_none(a) != ARCHIVE_OK ||
            archive_write_set_options(a, "hdrcharset=BINARY") < ARCHIVE_WARN ||
            archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK || archive_write_open_fd(a, out) != ARCHIVE_OK)
            fail("cannot begin the archive");
    }

    void directory(int fd, const std::string& prefix) {
        for (const std::string& name : sorted_names(fd, "/" + prefix)) {
            const std::string path = prefix + name;
            if (rules_.leave_out && rules_.leave_out(path)) continue;
            one(fd, name, path);
        }
    }

    void finish() {
        if (archive_write_close(archive_.get()) != ARCHIVE_OK) fail("cannot end the archive");
    }

private:
    [[noreturn]] void fail(const std::string& what) {
        const char* why = archive_ ? archive_error_string(archive_.get()) : nullptr;
        throw Error(Code::io, what + ": " + (why ? why : "out of memory"));
    }

    void one(int parent, const std::string& name, const std::string& path) {
        struct stat st;
        if (fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) throw_errno("cannot look at", "/" + path);
        if (rules_.is_overlay && S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0)) {
            marker(path.substr(0, path.size() - name.size()) + ".wh." + name);
            return;
        }
        if (S_ISSOCK(st.st_mode) || name.starts_with(".wh.")) return;
        entry_.reset(archive_entry_new());
        archive_entry* e = entry_.get();
        const RecordedFile* recorded = recorded_of(parent, name, path);
        if (recorded && rules_.recorded_owners) st.st_uid = recorded->uid, st.st_gid = recorded->gid;
        const bool device = recorded && recorded->device_type != 0 && S_ISREG(st.st_mode);
        archive_entry_set_pathname(e, path.c_str());
        archive_entry_set_mode(e, device ? (st.st_mode & 07777) | recorded->device_type : st.st_mode);
        archive_entry_set_uid(e, st.st_uid);
        archive_entry_set_gid(e, st.st_gid);
        archive_entry_set_mtime(e, st.st_mtime, 0);
        if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) {
            const auto [at, fresh] = links_.try_emplace({st.st_dev, st.st_ino}, path);
            if (!fresh) {
                archive_entry_set_hardlink(e, at->second.c_str());
                archive_entry_set_size(e, 0);
                return header(path);
            }
        }
        const bool open_it = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
        UniqueFd fd(openat(parent, name.c_str(),
                           (open_it ? O_RDONLY : O_PATH) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK |
                               (S_ISDIR(st.st_mode) ? O_DIRECTORY : 0)));
        if (!fd) throw_errno("cannot open", "/" + path);
        const Attributes found = attributes(fd.get(), S_ISLNK(st.st_mode), parent, name);
        if (recorded) {
            for (const auto& [attribute, value] : recorded->xattrs)
                archive_entry_xattr_add_entry(e, attribute.c_str(), value.data(), value.size());
        } else if (found.copied_up && rules_.record && rules_.base_owner) {
            if (const auto owner = rules_.base_owner(path)) {
                archive_entry_set_uid(e, owner->first);
                archive_entry_set_gid(e, owner->second);
            }
        }
        if (S_ISLNK(st.st_mode)) {
            char text[PATH_MAX];
            const ssize_t n = readlinkat(parent, name.c_str(), text, sizeof text - 1);
            if (n < 0) throw_errno("cannot read the link", "/" + path);
            text[n] = '\0';
            archive_entry_set_symlink(e, text);
        } else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
            archive_entry_set_rdevmajor(e, major(st.st_rdev));
            archive_entry_set_rdevminor(e, minor(st.st_rdev));
        } else if (device) {
            archive_entry_set_rdevmajor(e, recorded->major);
            archive_entry_set_rdevminor(e, recorded->minor);
        }
        archive_entry_set_size(e, S_ISREG(st.st_mode) && !device ? st.st_size : 0);
        header(path);
        if (device) return;
        if (S_ISREG(st.st_mode)) return bytes(fd.get(), static_cast<uint64_t>(st.st_size), path);
        if (!S_ISDIR(st.st_mode)) return;
        if (found.opaque) marker(path + "/.wh..wh..opq");
        directory(fd.get(), path + "/");
    }

    const RecordedFile* recorded_of(int parent, const std::string& name, const std::string& path) const {
        if (!rules_.record) return nullptr;
        struct statx st {};
        if (statx(parent, name.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &st) != 0)
            throw_errno("cannot look at", "/" + path);
        return rules_.record->find(identity_of(st));
    }

    struct Attributes {
        bool opaque = false;     // a directory that hides what lies below
        bool copied_up = false;  // the overlay took it from below
    };

    // Extended attributes into the entry.
    Attributes attributes(int fd, bool link, int parent, const std::string& name) {
        // An O_PATH descriptor has no attributes; a link's own are had by no way that follows none but this.
        const std::string place = link ? by_descriptor(parent) + "/" + name : by_descriptor(fd);
        const auto list = [&](char* to, size_t size) {
            return link ? llistxattr(place.c_str(), to, size) : listxattr(place.c_str(), to, size);
        };
        ssize_t n = list(nullptr, 0);
        if (n <= 0) return {};
        std::vector<char> names(static_cast<size_t>(n) + 1024);
        n = list(names.data(), names.size());
        Attributes out;
        for (const char *at = names.data(), *end = names.data() + std::max<ssize_t>(n, 0); at < end;
             at += std::strlen(at) + 1) {
            std::vector<char> value(1 << 16);
            const ssize_t size = link ? lgetxattr(place.c_str(), at, value.data(), value.size())
                                      : getxattr(place.c_str(), at, value.data(), value.size());
            if (size < 0) continue;
            value.resize(static_cast<size_t>(size));
            const std::string_view attribute = at;
            bool own = false;
            if (rules_.is_overlay)
                for (const auto prefix : overlay_prefixes)
                    if (attribute.starts_with(prefix)) {
                        own = true;
                        out.opaque = out.opaque ||
                                     (attribute.substr(prefix.size()) == "opaque" && !value.empty() && value[0] == 'y');
                        out.copied_up = out.copied_up || attribute.substr(prefix.size()) == "origin";
                    }
            if (own) continue;
            if (attribute == "security.capability") to_version_2(value);
            archive_entry_xattr_add_entry(entry_.get(), at, value.data(), value.size());
        }
        return out;
    }

    // Version 3 of the kernel's file capabilities names the root of the namespace that set them (struct
    // vfs_ns_cap_data): an image is for everybody, so that id is left out.
    static void to_version_2(std::vector<char>& value) {
        if (value.size() != 24 || value[3] != 3) return;
        value[3] = 2;
        value.resize(20);
    }

    void header(const std::string& path) {
        // A name that is no text in this locale is a warning; its bytes are written all the same.
        if (archive_write_header(archive_.get(), entry_.get()) < ARCHIVE_WARN)
            fail("cannot write the entry of /" + path);
    }

    void marker(const std::string& path) {
        entry_.reset(archive_entry_new());
        archive_entry_set_pathname(entry_.get(), path.c_str());
        archive_entry_set_mode(entry_.get(), S_IFREG | 0600);
        archive_entry_set_size(entry_.get(), 0);
        header(path);
    }

    void bytes(int fd, uint64_t size, const std::string& path) {
        uint64_t left = size;
        while (left > 0) {
            ssize_t n = read(fd, buffer_.data(), std::min<uint64_t>(left, buffer_.size()));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno("cannot read", "/" + path);
            if (n == 0) throw Error(Code::io, "/" + path + " became shorter while it was read");
            for (size_t at = 0; at < static_cast<size_t>(n);) {
                const la_ssize_t written =
                    archive_write_data(archive_.get(), buffer_.data() + at, static_cast<size_t>(n) - at);
                if (written <= 0) fail("cannot write /" + path);
                at += static_cast<size_t>(written);
            }
            left -= static_cast<uint64_t>(n);
        }
    }

    const OverlayTarRules& rules_;
    std::unique_ptr<archive, FreeArchive> archive_;
    std::unique_ptr<archive_entry, FreeEntry> entry_;
    std::vector<char> buffer_;
    std::map<std::pair<dev_t, ino_t>, std::string> links_;
};

}  // namespace

void write_overlay_tar(int directory, int out, const OverlayTarRules& rules) {
    Walk walk(out, rules);
    walk.directory(directory, "");
    walk.finish();
}

}  // namespace sg
