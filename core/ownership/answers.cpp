#include "ownership/answers.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <vector>

#include "ownership/told.hpp"

namespace sg::ownership {

namespace {

constexpr size_t most_name = 256;        // of an extended attribute, with its end (XATTR_NAME_MAX)
constexpr size_t most_value = 64 << 10;  // XATTR_SIZE_MAX
constexpr size_t most_list = 64 << 10;   // XATTR_LIST_MAX
constexpr uint64_t most_groups = 65536;  // NGROUPS_MAX

Answer failed(int error) {
    Answer out;
    out.error = error;
    return out;
}

Answer gives(int64_t value) {
    Answer out;
    out.value = value;
    return out;
}

Answer kernels() {
    Answer out;
    out.let_go = true;
    return out;
}

// What cannot be found; the kernel's own where it may not be looked for (mounts.hpp).
Answer refused(int error) { return error == EXDEV ? kernels() : failed(error); }

// Attributes that only root of the machine may set; file capabilities the kernel keeps for a user namespace itself.
bool is_recorded_xattr(const std::string& name) {
    return name.starts_with("trusted.") || (name.starts_with("security.") && name != "security.capability");
}

// One call being answered.
class One {
public:
    One(const seccomp_notif& asked, const KnownCall& call, Target& target, Files& files, CredentialTable& credentials, Scope scope)
        : asked_(asked),
          call_(call),
          target_(target),
          files_(files),
          table_(credentials),
          scope_(scope),
          who_(credentials.of(static_cast<pid_t>(asked.pid))) {}

    Answer run() {
        switch (call_.call) {
            case Call::chown: return chown_path(AT_FDCWD, 0, 1, true);
            case Call::lchown: return chown_path(AT_FDCWD, 0, 1, false);
            case Call::fchown: return chown_descriptor(number(0), 1);
            case Call::fchownat: return chown_at();
            case Call::open: return open_file(AT_FDCWD, 0, flags_of(1), mode_of(2));
            case Call::creat: return open_file(AT_FDCWD, 0, O_CREAT | O_WRONLY | O_TRUNC, mode_of(1));
            case Call::openat: return open_file(number(0), 1, flags_of(2), mode_of(3));
            case Call::openat2: return open_how();
            case Call::mkdir: return make_directory(AT_FDCWD, 0, mode_of(1));
            case Call::mkdirat: return make_directory(number(0), 1, mode_of(2));
            case Call::symlink: return make_link(AT_FDCWD, 1);
            case Call::symlinkat: return make_link(number(1), 2);
            case Call::mknod: return make_node(AT_FDCWD, 0, mode_of(1), static_cast<uint32_t>(arg(2)));
            case Call::mknodat: return make_node(number(0), 1, mode_of(2), static_cast<uint32_t>(arg(3)));
            case Call::rename: return rename(AT_FDCWD, 0, AT_FDCWD, 1);
            case Call::renameat: return rename(number(0), 1, number(2), 3);
            case Call::link: return keep_owner(AT_FDCWD, 0);
            case Call::linkat: return link_at();
            case Call::set_xattr: return with_path(true, &One::set_xattr);
            case Call::set_link_xattr: return with_path(false, &One::set_xattr);
            case Call::set_fd_xattr: return with_descriptor(&One::set_xattr);
            case Call::get_xattr: return with_path(true, &One::get_xattr);
            case Call::get_link_xattr: return with_path(false, &One::get_xattr);
            case Call::get_fd_xattr: return with_descriptor(&One::get_xattr);
            case Call::remove_xattr: return with_path(true, &One::remove_xattr);
            case Call::remove_link_xattr: return with_path(false, &One::remove_xattr);
            case Call::remove_fd_xattr: return with_descriptor(&One::remove_xattr);
            case Call::list_xattr: return list_path(true);
            case Call::list_link_xattr: return list_path(false);
            case Call::list_fd_xattr: return list_descriptor();
            case Call::setuid: return becomes([&](Credentials& c) { return ownership::set_user(c, id(0)); });
            case Call::setgid: return becomes([&](Credentials& c) { return ownership::set_group(c, id(0)); });
            case Call::setreuid:
                return becomes([&](Credentials& c) { return set_real_effective_user(c, id(0), id(1)); });
            case Call::setregid:
                return becomes([&](Credentials& c) { return set_real_effective_group(c, id(0), id(1)); });
            case Call::setresuid: return becomes([&](Credentials& c) { return set_users(c, id(0), id(1), id(2)); });
            case Call::setresgid: return becomes([&](Credentials& c) { return set_groups(c, id(0), id(1), id(2)); });
            case Call::setfsuid:
                return becomes([&](Credentials& c) { return static_cast<int64_t>(set_fs_user(c, id(0))); });
            case Call::setfsgid:
                return becomes([&](Credentials& c) { return static_cast<int64_t>(set_fs_group(c, id(0))); });
            case Call::setgroups: return set_group_list();
            case Call::getuid: return gives(shown(who_.user.real));
            case Call::geteuid: return gives(shown(who_.user.effective));
            case Call::getgid: return gives(shown(who_.group.real));
            case Call::getegid: return gives(shown(who_.group.effective));
            case Call::getresuid: return get_three(who_.user);
            case Call::getresgid: return get_three(who_.group);
            case Call::getgroups: return get_groups();
            case Call::capget: return get_capabilities();
            case Call::capset: return set_capability_sets();
            case Call::prctl: return set_capability_rules();
            // What goes through such a ring is seen by no filter; whoever uses it does without when it is not there.
            case Call::io_uring_setup: return failed(ENOSYS);
            case Call::stat: return told_stat({AT_FDCWD, 0, 0}, 1);
            case Call::lstat: return told_stat({AT_FDCWD, 0, AT_SYMLINK_NOFOLLOW}, 1);
            case Call::fstat: return told_stat({number(0), no_path, 0}, 1);
            case Call::fstatat: return told_stat({number(0), 1, number(3)}, 2);
            case Call::statx: return told_statx({number(0), 1, number(2)});
            case Call::getdents64: return list_directory();
        }
        return failed(ENOSYS);
    }

private:
    // ---- Arguments ----------------------------------------------------------------------------

    uint64_t arg(int i) const { return call_.wide ? asked_.data.args[i] : static_cast<uint32_t>(asked_.data.args[i]); }
    int32_t number(int i) const { return static_cast<int32_t>(asked_.data.args[i]); }
    int flags_of(int i) const { return number(i); }
    mode_t mode_of(int i) const { return static_cast<mode_t>(arg(i)); }
    uint32_t id(int i) const {
        const auto value = static_cast<uint32_t>(arg(i));
        if (!call_.short_ids) return value;
        return (value & 0xffff) == 0xffff ? unchanged : value & 0xffff;
    }
    // An id that 16 bits do not hold is shown as the kernel shows it (overflowuid).
    uint32_t shown(uint32_t id) const { return call_.short_ids && id > 0xffff ? 65534 : id; }

    // Who has ids of the kernel's has its capabilities as well.
    bool may(int capability) const { return scope_.owners ? who_.has(capability) : target_.has_capability(capability); }

    // ---- Owners -------------------------------------------------------------------------------

    Answer chown_at() {
        const int flags = number(4);
        if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return failed(EINVAL);
        const auto path = target_.text(arg(1), PATH_MAX);
        if (!path) return kernels();
        if (path->empty() && (flags & AT_EMPTY_PATH)) {
            if (number(0) != AT_FDCWD) return chown_descriptor(number(0), 2);
            return chown_named(AT_FDCWD, ".", 2, true);
        }
        return chown_named(number(0), *path, 2, !(flags & AT_SYMLINK_NOFOLLOW));
    }

    Answer chown_path(int32_t directory, int path_at, int ids_at, bool follow) {
        const auto path = target_.text(arg(path_at), PATH_MAX);
        return path ? chown_named(directory, *path, ids_at, follow)
                    : kernels();  // it says best what is wrong with a text
    }

    Answer chown_named(int32_t directory, const std::string& path, int ids_at, bool follow) {
        UniqueFd object;
        if (const int error = target_.object(directory, path, follow, object); error != 0) return refused(error);
        return chown_object(object.get(), id(ids_at), id(ids_at + 1));
    }

    Answer chown_descriptor(int32_t fd, int ids_at) {
        const UniqueFd object = target_.descriptor(fd);
        if (!object) return refused(errno);
        return chown_object(object.get(), id(ids_at), id(ids_at + 1));
    }

    Answer chown_object(int object, uint32_t uid, uint32_t gid) {
        const Files::Seen seen = files_.look(object);
        if (!who_.has(CAP_CHOWN)) {  // chown(2): the owner may give it to a group of his own
            const bool own = seen.owner.uid == who_.user.fs;
            if ((uid != unchanged && !(own && uid == seen.owner.uid)) ||
                (gid != unchanged && !(own && (gid == seen.owner.gid || who_.in_group(gid)))))
                return failed(EPERM);
        }
        const Owner after{uid == unchanged ? seen.owner.uid : uid, gid == unchanged ? seen.owner.gid : gid};
        struct stat st;
        if (fstat(object, &st) != 0) return failed(errno);
        // Nothing is copied up for what stays as it is.
        if (seen.base_only && after == seen.owner && (S_ISDIR(st.st_mode) || !(st.st_mode & (S_ISUID | S_ISGID))))
            return {};
        // The kernel's own part: it takes set-user-id bits and file capabilities away, and knows what cannot be
        // changed.
        if (fchownat(object, "", uid == unchanged ? unchanged : 0, gid == unchanged ? unchanged : 0, AT_EMPTY_PATH) !=
            0)
            return failed(errno);
        const Owner meant = after == Owner{} && !scope_.stat ? owner_of_original(object, after) : after;
        if (RecordedFile* entry = files_.entry(object, seen)) entry->uid = meant.uid, entry->gid = meant.gid;
        else if (st.st_nlink == 0) files_.know_unnamed(object, meant);
        return {};
    }

    // Unless it is emulated, stat says that everything is root's. So programs that give a file the owner of another
    // make it root's, and two ways in which they do that tell whose it is to be. One: useradd and its kin keep "shadow"
    // as "shadow-".
    Owner owner_of_original(int object, const Owner& otherwise) {
        char text[PATH_MAX];
        const ssize_t n = readlink(path_of_descriptor(object).c_str(), text, sizeof text);
        if (n < 2 || n == sizeof text || text[n - 1] != '-') return otherwise;
        UniqueFd original;
        if (target_.object(AT_FDCWD, std::string(text, static_cast<size_t>(n) - 1), false, original) != 0)
            return otherwise;
        return files_.look(original.get()).owner;
    }

    // The other: a new file takes the place of the old one (useradd, sed -i). Package managers know what they say.
    static bool of_package_manager(const std::string& path) {
        return path.ends_with(".dpkg-new") || path.find(';') != std::string::npos;
    }

    Answer rename(int32_t directory, int path_at, int32_t to_directory, int to_path_at) {
        const auto path = target_.text(arg(path_at), PATH_MAX);
        if (!path || of_package_manager(*path)) return kernels();
        UniqueFd object;
        if (target_.object(directory, *path, false, object) != 0) return kernels();
        const Files::Seen seen = files_.look(object.get());
        if (!seen.record) return keep_owner(object.get(), seen);
        if (seen.owner != Owner{} || scope_.stat) return kernels();
        const auto to_path = target_.text(arg(to_path_at), PATH_MAX);
        UniqueFd replaced;
        if (!to_path || target_.object(to_directory, *to_path, false, replaced) != 0) return kernels();
        const Owner owner = files_.look(replaced.get()).owner;
        if (RecordedFile* entry = owner == Owner{} ? nullptr : files_.entry(object.get()))
            entry->uid = owner.uid, entry->gid = owner.gid;
        return kernels();
    }

    // The base's files keep their owners under a new name, where nobody could look them up.
    Answer keep_owner(int object, const Files::Seen& seen) {
        if (!seen.record && seen.owner != Owner{}) (void)files_.entry(object, seen);
        return kernels();
    }
    Answer keep_owner(int32_t directory, int path_at) {
        const auto path = target_.text(arg(path_at), PATH_MAX);
        UniqueFd object;
        if (!path || target_.object(directory, *path, false, object) != 0) return kernels();
        return keep_owner(object.get(), files_.look(object.get()));
    }

    // A file that was made without a name (O_TMPFILE) gets one: whose it is could not be recorded before.
    Answer link_at() {
        const int flags = number(4);
        const auto path = target_.text(arg(1), PATH_MAX);
        UniqueFd object;
        if (!path) return kernels();
        if (path->empty() && (flags & AT_EMPTY_PATH))
            object = target_.descriptor(number(0));
        else if (target_.object(number(0), *path, flags & AT_SYMLINK_FOLLOW, object) != 0)
            return kernels();
        struct stat st;
        if (!object || fstat(object.get(), &st) != 0) return kernels();
        if (st.st_nlink > 0) return keep_owner(object.get(), files_.look(object.get()));
        Place place;
        Owner owner;
        Answer out;
        const bool others = new_place(number(2), 3, false, place, owner, out, true);
        if (!place.parent || place.object) return kernels();
        if (const auto known = files_.unnamed(object.get()))
            owner = *known;
        else if (!others)
            return kernels();
        if (linkat(AT_FDCWD, path_of_descriptor(object.get()).c_str(), place.parent.get(), place.name.c_str(), AT_SYMLINK_FOLLOW) != 0)
            return failed(errno);
        made(place.parent.get(), place.name, owner);
        return {};
    }

    // ---- Making files ---------------------------------------------------------------------------

    // What a new file in a directory would belong to.
    Owner owner_in(int directory) {
        struct stat st;
        Owner out{who_.user.fs, who_.group.fs};
        if (fstat(directory, &st) == 0 && (st.st_mode & S_ISGID)) out.gid = files_.look(directory).owner.gid;
        return out;
    }

    void made(int directory, const std::string& name, const Owner& owner) {
        const UniqueFd object(openat(directory, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        if (object) made(object.get(), owner);
    }
    void made(int object, const Owner& owner) {
        if (RecordedFile* entry = files_.entry(object)) *entry = {owner.uid, owner.gid, 0, 0, 0, {}};
    }

    // Whether root makes a file of root's there, as nearly always; told by few calls. False: it must be looked at.
    bool plainly_roots(int32_t directory, const std::string& path, bool follow) {
        if (who_.user.fs != 0 || who_.group.fs != 0) return false;
        const size_t slash = path.rfind('/');
        const std::string above = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
        const std::string name = path.substr(slash == std::string::npos ? 0 : slash + 1);
        if (name.empty() || name == "." || name == "..") return false;
        UniqueFd parent;
        struct stat st;
        if (target_.object(directory, above, true, parent) != 0 || fstat(parent.get(), &st) != 0 || (st.st_mode & S_ISGID)) return false;
        // A link may lead to a directory with set-group-id.
        return !follow || fstatat(parent.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISLNK(st.st_mode);
    }

    // Where a new name goes. False: `out` is the answer; `place` need not be known then, but where it is `wanted`.
    bool new_place(int32_t directory, int path_at, bool follow, Place& place, Owner& owner, Answer& out, bool wanted = false) {
        const auto path = target_.text(arg(path_at), PATH_MAX);
        if (path && !wanted && plainly_roots(directory, *path, follow)) {
            out = kernels();
            return false;
        }
        // What is wrong the kernel says best.
        if (!path || target_.place(directory, *path, follow, place) != 0 || place.object || !place.parent) {
            out = kernels();
            return false;
        }
        owner = owner_in(place.parent.get());
        if (owner == Owner{}) out = kernels();
        return owner != Owner{};
    }

    Answer open_file(int32_t directory, int path_at, int flags, mode_t mode) {
        Place place;
        Owner owner;
        Answer out;
        if (!(flags & O_CREAT) || !new_place(directory, path_at, !(flags & (O_NOFOLLOW | O_EXCL)), place, owner, out))
            return kernels();
        return open_new(place.parent.get(), place.name, flags, mode, owner);
    }

    Answer open_new(int parent, const std::string& name, int flags, mode_t mode, const Owner& owner) {
        UniqueFd fd(openat(parent, name.c_str(), flags | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 07777 & ~target_.mask()));
        if (!fd) return errno == EEXIST ? kernels() : failed(errno);
        made(fd.get(), owner);
        Answer out;
        out.descriptor = std::move(fd);
        out.descriptor_flags = flags & O_CLOEXEC;
        return out;
    }

    // openat2. Rules of resolution that confine the path to its directory hold for the supervisor as well; with others the
    // file is root's.
    Answer open_how() {
        struct open_how how {};
        const uint64_t size = arg(3);
        if (size < sizeof how || !target_.read(arg(2), &how, sizeof how) || how.mode & ~uint64_t{07777}) return kernels();
        const int flags = static_cast<int>(how.flags);
        if (how.flags != static_cast<uint64_t>(static_cast<uint32_t>(flags)) || !(flags & O_CREAT)) return kernels();
        if (how.resolve == 0) return open_file(number(0), 1, flags, static_cast<mode_t>(how.mode));
        const auto path = target_.text(arg(1), PATH_MAX);
        if (!path || path->empty() || path->back() == '/' || !(how.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT))) return kernels();
        const UniqueFd start = number(0) == AT_FDCWD ? target_.working_directory() : target_.descriptor(number(0));
        struct open_how to_parent {};
        to_parent.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
        to_parent.resolve = how.resolve & ~uint64_t{RESOLVE_CACHED};
        const size_t slash = path->rfind('/');
        const std::string above = slash == std::string::npos ? "." : slash == 0 ? "/" : path->substr(0, slash);
        const std::string name = path->substr(slash == std::string::npos ? 0 : slash + 1);
        if (!start || name == "." || name == "..") return kernels();
        const UniqueFd parent(static_cast<int>(syscall(SYS_openat2, start.get(), above.c_str(), &to_parent, sizeof to_parent)));
        if (!parent) return kernels();
        const Owner owner = owner_in(parent.get());
        return owner == Owner{} ? kernels() : open_new(parent.get(), name, flags, static_cast<mode_t>(how.mode), owner);
    }

    Answer make_directory(int32_t directory, int path_at, mode_t mode) {
        Place place;
        Owner owner;
        Answer out;
        if (!new_place(directory, path_at, false, place, owner, out)) return out;
        if (mkdirat(place.parent.get(), place.name.c_str(), mode & 01777 & ~target_.mask()) != 0) return failed(errno);
        made(place.parent.get(), place.name, owner);
        return out;
    }

    Answer make_link(int32_t directory, int path_at) {
        Place place;
        Owner owner;
        Answer out;
        if (!new_place(directory, path_at, false, place, owner, out)) return out;
        const auto target = target_.text(arg(0), PATH_MAX);
        if (!target) return failed(EFAULT);
        if (symlinkat(target->c_str(), place.parent.get(), place.name.c_str()) != 0) return failed(errno);
        made(place.parent.get(), place.name, owner);
        return out;
    }

    Answer make_node(int32_t directory, int path_at, mode_t mode, uint32_t device) {
        const mode_t type = mode & S_IFMT;
        Place place;
        Owner owner;
        Answer out;
        if (type != S_IFCHR && type != S_IFBLK) {
            if (!scope_.owners) return kernels();
            if (!new_place(directory, path_at, false, place, owner, out)) return out;
            if (mknodat(place.parent.get(), place.name.c_str(), type | (mode & 07777 & ~target_.mask()), 0) != 0)
                return failed(errno);
            made(place.parent.get(), place.name, owner);
            return out;
        }
        if (!may(CAP_MKNOD)) return failed(EPERM);
        const auto path = target_.text(arg(path_at), PATH_MAX);
        if (!path) return kernels();
        if (const int error = target_.place(directory, *path, false, place); error != 0) return refused(error);
        if (place.object || !place.parent) return failed(EEXIST);
        owner = owner_in(place.parent.get());
        // A plain file stands in for it, so that its mode can be changed and its name removed.
        const UniqueFd fd(openat(place.parent.get(), place.name.c_str(),
                                 O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, mode & 07777 & ~target_.mask()));
        if (!fd) return failed(errno);
        if (RecordedFile* entry = files_.device_entry(fd.get()))  // the kernel's new_decode_dev
            *entry = {owner.uid, owner.gid, type, (device & 0xfff00) >> 8, (device & 0xff) | ((device >> 12) & 0xfff00),
                      {}};
        return {};
    }

    // ---- Extended attributes --------------------------------------------------------------------

    using OnXattr = Answer (One::*)(int object, const std::string& name);

    // The name first: only few are ours to answer.
    template <class Find>
    Answer with_name(OnXattr what, Find&& find) {
        const auto name = target_.text(arg(1), most_name);
        if (!name || !is_recorded_xattr(*name)) return kernels();
        UniqueFd object;
        if (const int error = find(object); error != 0) return refused(error);
        return (this->*what)(object.get(), *name);
    }
    int path_object(bool follow, UniqueFd& object) {
        const auto path = target_.text(arg(0), PATH_MAX);
        return path ? target_.object(AT_FDCWD, *path, follow, object) : EFAULT;
    }
    int descriptor_object(UniqueFd& object) {
        object = target_.descriptor(number(0));
        return object ? 0 : errno;
    }
    Answer with_path(bool follow, OnXattr what) {
        return with_name(what, [&](UniqueFd& object) { return path_object(follow, object); });
    }
    Answer with_descriptor(OnXattr what) {
        return with_name(what, [&](UniqueFd& object) { return descriptor_object(object); });
    }

    Answer set_xattr(int object, const std::string& name) {
        if (!may(CAP_SYS_ADMIN)) return failed(EPERM);
        if (arg(3) > most_value) return failed(E2BIG);
        std::string value(static_cast<size_t>(arg(3)), '\0');
        if (!value.empty() && !target_.read(arg(2), value.data(), value.size())) return failed(EFAULT);
        const RecordedFile* before = files_.look(object).record;
        const bool there = before && before->xattrs.count(name) != 0;
        if (number(4) == XATTR_CREATE && there) return failed(EEXIST);
        if (number(4) == XATTR_REPLACE && !there) return failed(ENODATA);
        if (RecordedFile* entry = files_.entry(object)) entry->xattrs[name] = std::move(value);
        return {};
    }

    Answer get_xattr(int object, const std::string& name) {
        const RecordedFile* record = files_.look(object).record;
        if (!record) return kernels();
        const auto at = record->xattrs.find(name);
        if (at == record->xattrs.end()) return kernels();
        const std::string& value = at->second;
        if (arg(3) == 0) return gives(static_cast<int64_t>(value.size()));
        if (arg(3) < value.size()) return failed(ERANGE);
        if (!value.empty() && !target_.write(arg(2), value.data(), value.size())) return failed(EFAULT);
        return gives(static_cast<int64_t>(value.size()));
    }

    Answer remove_xattr(int object, const std::string& name) {
        if (!may(CAP_SYS_ADMIN)) return failed(EPERM);
        const RecordedFile* record = files_.look(object).record;
        if (!record || !record->xattrs.count(name)) return failed(ENODATA);
        if (RecordedFile* entry = files_.entry(object)) entry->xattrs.erase(name);
        return {};
    }

    Answer list_path(bool follow) {
        UniqueFd object;
        return path_object(follow, object) == 0 ? list(object.get()) : kernels();
    }
    Answer list_descriptor() {
        UniqueFd object;
        return descriptor_object(object) == 0 ? list(object.get()) : kernels();
    }
    Answer list(int object) {
        const RecordedFile* record = files_.look(object).record;
        if (!record || record->xattrs.empty()) return kernels();
        std::string names(most_list, '\0');
        const ssize_t n = listxattr(path_of_descriptor(object).c_str(), names.data(), names.size());
        names.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
        for (const auto& [name, value] : record->xattrs) names.append(name).push_back('\0');
        if (arg(2) == 0) return gives(static_cast<int64_t>(names.size()));
        if (arg(2) < names.size()) return failed(ERANGE);
        return target_.write(arg(1), names.data(), names.size()) ? gives(static_cast<int64_t>(names.size()))
                                                                 : failed(EFAULT);
    }

    // ---- What files are said to be ----------------------------------------------------------------

    static constexpr int no_path = -1;
    static constexpr int known_flags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT;
    struct Named {  // how a call names a file
        int32_t directory;
        int path_at;  // `no_path`: `directory` is the file
        int flags;
    };

    // False: the kernel says best why not. `by_path`: another file may have the name meanwhile.
    bool find(const Named& named, UniqueFd& object, bool& by_path) {
        by_path = false;
        if (named.path_at != no_path) {
            if (arg(named.path_at) != 0) {
                const auto path = target_.text(arg(named.path_at), PATH_MAX);
                if (!path) return false;
                by_path = !path->empty();
                if (by_path)
                    return target_.object(named.directory, *path, !(named.flags & AT_SYMLINK_NOFOLLOW), object) == 0;
            }
            if (!(named.flags & AT_EMPTY_PATH)) return false;
        }
        object = named.path_at != no_path && named.directory == AT_FDCWD ? target_.working_directory()
                                                                         : target_.descriptor(named.directory);
        return static_cast<bool>(object);
    }

    // Nothing: the kernel's answer is the right one.
    Told told_of(const Named& named, UniqueFd& object) {
        Told out;
        bool by_path = true;
        for (int tries = 0; tries < 8 && by_path; ++tries) {
            if (!find(named, object, by_path)) return out;
            const Files::Seen seen = files_.look(object.get());
            Owner owner = seen.owner;
            if (!seen.identity && !seen.base_only) {
                if (by_path) continue;  // replaced since it was found
                owner = files_.unnamed(object.get()).value_or(Owner{});
            }
            if (scope_.owners && owner != Owner{}) out.owner = owner;
            if (seen.record)
                out.device_type = seen.record->device_type, out.major = seen.record->major,
                out.minor = seen.record->minor;
            return out;
        }
        return out;
    }

    // No path at all is an empty one since Linux 6.11: whether it is here the same call tells.
    const char* own_path(const Named& named) const {
        return named.path_at != no_path && arg(named.path_at) == 0 ? nullptr : "";
    }

    Answer told_stat(const Named& named, int to) {
        UniqueFd object;
        if (call_.short_ids || named.flags & ~known_flags) return kernels();
        const Told told = told_of(named, object);
        struct stat st {};
        if (!told || syscall(SYS_newfstatat, object.get(), own_path(named), &st,
                             AT_EMPTY_PATH | (named.flags & AT_NO_AUTOMOUNT)) != 0)
            return kernels();
        tell(told, st);
        if (call_.wide) return target_.write(arg(to), &st, sizeof st) ? Answer() : failed(EFAULT);
        const auto narrow = i386_stat64(st);
        return target_.write(arg(to), narrow.data(), narrow.size()) ? Answer() : failed(EFAULT);
    }

    Answer told_statx(const Named& named) {
        UniqueFd object;
        if (named.flags & ~(known_flags | AT_STATX_SYNC_TYPE)) return kernels();
        const Told told = told_of(named, object);
        struct statx st {};
        const int flags = AT_EMPTY_PATH | (named.flags & ~AT_SYMLINK_NOFOLLOW);
        if (!told || syscall(SYS_statx, object.get(), own_path(named), flags, static_cast<unsigned>(arg(3)), &st) != 0)
            return kernels();
        tell(told, st);
        return target_.write(arg(4), &st, sizeof st) ? Answer() : failed(EFAULT);
    }

    // Programs believe the types that directories tell, where stat would say that a plain file is a device: those are
    // told as unknown, so that they ask. (A 32-bit program reads other positions than this one would.)
    Answer list_directory() {
        struct Entry {
            uint64_t inode;
            int64_t next;
            uint16_t size;
            uint8_t type;
        } entry{};
        constexpr size_t least = 19, type_at = 18, most = 256 << 10;
        if (!files_.has_devices() || !call_.wide) return kernels();
        UniqueFd directory = target_.shared_descriptor(number(0));
        const off_t position = directory ? lseek(directory.get(), 0, SEEK_CUR) : -1;
        if (position < 0) return kernels();
        std::string list(std::min<size_t>(static_cast<uint32_t>(arg(2)), most), '\0');
        const long n = syscall(SYS_getdents64, directory.get(), list.data(), list.size());
        if (n < 0) return kernels();
        for (size_t at = 0; at + least <= static_cast<size_t>(n); at += entry.size) {
            std::memcpy(&entry, list.data() + at, least);
            if (entry.size < least) break;
            if (entry.type == DT_REG && files_.may_be_device(entry.inode)) list[at + type_at] = DT_UNKNOWN;
        }
        if (!target_.write(arg(1), list.data(), static_cast<size_t>(n))) {
            (void)lseek(directory.get(), position, SEEK_SET);
            return failed(EFAULT);
        }
        Answer out = gives(n);
        out.directory = std::move(directory);
        out.position = position;
        return out;
    }

    // ---- Identity -------------------------------------------------------------------------------

    // `change` gives what the call returns, negative for an errno.
    template <class Change>
    Answer becomes(Change&& change) {
        Credentials to = who_;
        const int64_t result = change(to);
        if (result < 0) return failed(static_cast<int>(-result));
        if (to != who_ && !table_.assign(static_cast<pid_t>(asked_.pid), to)) return failed(EPERM);
        return gives(result);
    }

    Answer set_group_list() {
        if (!who_.has(CAP_SETGID)) return failed(EPERM);
        const uint64_t count = static_cast<uint32_t>(arg(0));
        if (count > most_groups) return failed(EINVAL);
        std::vector<uint32_t> groups;
        if (call_.short_ids) {
            std::vector<uint16_t> in(count);
            if (count && !target_.read(arg(1), in.data(), count * sizeof(uint16_t))) return failed(EFAULT);
            groups.assign(in.begin(), in.end());
        } else {
            groups.resize(count);
            if (count && !target_.read(arg(1), groups.data(), count * sizeof(uint32_t))) return failed(EFAULT);
        }
        return becomes([&](Credentials& c) {
            c.groups = std::move(groups);
            return 0;
        });
    }

    bool write_ids(uint64_t address, const std::vector<uint32_t>& ids) {
        if (!call_.short_ids) return target_.write(address, ids.data(), ids.size() * sizeof(uint32_t));
        std::vector<uint16_t> out;
        for (const uint32_t i : ids) out.push_back(static_cast<uint16_t>(shown(i)));
        return target_.write(address, out.data(), out.size() * sizeof(uint16_t));
    }

    Answer get_three(const Ids& ids) {
        const uint32_t values[] = {ids.real, ids.effective, ids.saved};
        for (int i = 0; i < 3; ++i)
            if (!write_ids(arg(i), {values[i]})) return failed(EFAULT);
        return {};
    }

    Answer get_groups() {
        const auto room = number(0);
        const auto count = static_cast<int64_t>(who_.groups.size());
        if (room < 0 || (room > 0 && room < count)) return failed(EINVAL);
        if (room > 0 && count > 0 && !write_ids(arg(1), who_.groups)) return failed(EFAULT);
        return gives(count);
    }

    // ---- Capabilities (capget(2)) -----------------------------------------------------------------

    // The header's version as the number of words in each set; 0 = the kernel says what is wrong with it. Only the sets
    // of a process that changed its identity are ours to tell.
    int capability_words() {
        struct {
            uint32_t version;
            int32_t pid;
        } header{};
        if (who_.is_root() || arg(1) == 0 || !target_.read(arg(0), &header, sizeof header)) return 0;
        if (header.pid != 0 && !target_.is_own_number(header.pid)) return 0;
        if (header.version == _LINUX_CAPABILITY_VERSION_1) return 1;
        return header.version == _LINUX_CAPABILITY_VERSION_2 || header.version == _LINUX_CAPABILITY_VERSION_3 ? 2 : 0;
    }

    Answer get_capabilities() {
        const int words = capability_words();
        if (words == 0) return kernels();
        __user_cap_data_struct sets[2]{};
        for (int i = 0; i < words; ++i) {
            sets[i].effective = static_cast<uint32_t>(who_.effective >> (32 * i));
            sets[i].permitted = static_cast<uint32_t>(who_.permitted >> (32 * i));
            sets[i].inheritable = static_cast<uint32_t>(who_.inheritable >> (32 * i));
        }
        return target_.write(arg(1), sets, static_cast<size_t>(words) * sizeof sets[0]) ? Answer() : failed(EFAULT);
    }

    // They hold for what is answered here; what the process may do with the user's own files the kernel need not know.
    Answer set_capability_sets() {
        const int words = capability_words();
        if (words == 0) return kernels();
        __user_cap_data_struct sets[2]{};
        if (!target_.read(arg(1), sets, static_cast<size_t>(words) * sizeof sets[0])) return failed(EFAULT);
        const auto both = [&](auto member) {
            return (sets[0].*member | static_cast<uint64_t>(sets[1].*member) << 32) & all_capabilities;
        };
        return becomes([&](Credentials& c) {
            return set_capabilities(c, both(&__user_cap_data_struct::effective),
                                    both(&__user_cap_data_struct::permitted),
                                    both(&__user_cap_data_struct::inheritable));
        });
    }

    // The kernel does it as well.
    Answer set_capability_rules() {
        Credentials to = who_;
        if (number(0) == PR_SET_SECUREBITS)
            to.securebits = static_cast<uint32_t>(arg(1));
        else if (arg(1) <= 1)
            to.securebits =
                (to.securebits & ~static_cast<uint32_t>(SECBIT_KEEP_CAPS)) | (arg(1) ? SECBIT_KEEP_CAPS : 0);
        if (to != who_) (void)table_.assign(static_cast<pid_t>(asked_.pid), to);
        return kernels();
    }

    const seccomp_notif& asked_;
    const KnownCall call_;
    Target& target_;
    Files& files_;
    CredentialTable& table_;
    const Scope scope_;
    const Credentials who_;
};

}  // namespace

void Answers::begin(pid_t process) {
    // Its own mounts, and those of this process, whose proc stands in for theirs.
    for (const std::string& whose : {std::to_string(process), std::string("self")}) {
        const UniqueFd proc(open(("/proc/" + whose).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (proc) mounts_.know(proc.get());
    }
}

Answer Answers::answer(const seccomp_notif& asked, const std::function<bool()>& waits) {
    const auto call = known_call(asked.data.arch, static_cast<uint32_t>(asked.data.nr));
    if (!call) return failed(ENOSYS);
    if (call->call == Call::getdents64 && !files_.has_devices()) return kernels();  // as nearly always
    Target target(static_cast<pid_t>(asked.pid), mounts_);
    if (!target || !waits()) return failed(ESRCH);  // nobody hears it
    return One(asked, *call, target, files_, credentials_, scope_).run();
}

}  // namespace sg::ownership
