#include "sandbox/writer.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <unordered_set>

namespace sandbox {

using singularity::Code;
using singularity::Error;
using singularity::Host;
using singularity::Slice;

namespace {

constexpr size_t open_levels = 200;  // directories above the present one that stay open
constexpr uint64_t copy_bytes = 1 << 20;

uint32_t type_of(const sg_attr& attr) { return attr.mode & S_IFMT; }

void write_all(int fd, const Slice& slice, uint64_t offset, const std::string& path) {
    uint64_t done = 0;
    while (done < slice.size()) {
        const ssize_t n = ::pwrite(fd, slice.data() + done, static_cast<size_t>(slice.size() - done),
                                   static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot write", path);
        done += static_cast<uint64_t>(n);
    }
}

void copy_file(int from, int to, const std::string& path) {
    for (;;) {
        const ssize_t n = ::copy_file_range(from, nullptr, to, nullptr, copy_bytes, 0);
        if (n == 0) return;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
    }
    // A file system that cannot: by hand.
    std::vector<uint8_t> buffer(copy_bytes);
    for (uint64_t at = 0;;) {
        const ssize_t n = ::pread(from, buffer.data(), buffer.size(), static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot read", path);
        if (n == 0) return;
        write_all(to, Slice::borrowed(buffer.data(), static_cast<uint64_t>(n)), at, path);
        at += static_cast<uint64_t>(n);
    }
}

// The tree is the host's, which has checked it; a name that leads out of its directory is refused all the same.
void check_name(std::string_view name) {
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string_view::npos ||
        name.find('\0') != std::string_view::npos)
        throw Error(Code::corrupt, "the tree holds the name '" + std::string(name) + "', which no file can have");
}

}  // namespace

DirectoryWriter::DirectoryWriter(const singularity::CreateSpec& spec)
    : path_(spec.path),
      staging_name_(".contents"),
      root_(::open(spec.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
      as_root_(::geteuid() == 0) {
    if (!root_) throw_errno("cannot open the directory", path_);
    if (::mkdirat(root_.get(), staging_name_.c_str(), 0700) != 0)
        throw_errno("cannot make", path_ + "/" + staging_name_);
    staging_ = Fd(::openat(root_.get(), staging_name_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!staging_) throw_errno("cannot open", path_ + "/" + staging_name_);
}

std::string DirectoryWriter::shown(const std::string& name) const {
    return path_ + "/" + (where_.empty() ? "" : where_ + "/") + name;
}

uint64_t DirectoryWriter::content(const char* hint, uint64_t size, singularity::Stream& data, const Host& host) {
    const uint64_t id = references_.size();
    const std::string name = std::to_string(id), path = path_ + "/" + hint;
    const Fd file(::openat(staging_.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file) throw_errno("cannot create", path);
    uint64_t at = 0;
    bool ends_in_hole = false;
    for (Slice s = data.next(); s.size() > 0; s = data.next()) {
        host.poll();
        if (s.size() > static_cast<uint64_t>(INT64_MAX) - at) throw Error(Code::limit, path + " is too large");
        if (!s.is_hole()) write_all(file.get(), s, at, path);
        ends_in_hole = s.is_hole();
        at += s.size();
    }
    if (size != SG_SIZE_UNKNOWN && size != at)
        throw Error(Code::corrupt, path + " has " + std::to_string(at) + " bytes instead of " + std::to_string(size));
    if (at == 0) {
        if (::unlinkat(staging_.get(), name.c_str(), 0) != 0) throw_errno("cannot remove", path);
        return SG_NO_CONTENT;
    }
    if (ends_in_hole && ::ftruncate(file.get(), static_cast<off_t>(at)) != 0) throw_errno("cannot write", path);
    references_.push_back(0);
    return id;
}

void DirectoryWriter::finish(const Tree& tree, const Host& host) {
    count_references(tree, host);
    choose_staging_name(tree);
    make_tree(tree, host);
    warn(host);
}

std::vector<DirectoryWriter::Entry> DirectoryWriter::entries_of(const Tree& tree, uint64_t directory) const {
    std::vector<Entry> out;
    tree.list(directory, [&](std::string_view name, uint64_t node, uint32_t) {
        check_name(name);
        out.push_back({std::string(name), node});
        return true;
    });
    return out;
}

void DirectoryWriter::count_references(const Tree& tree, const Host& host) {
    std::vector<uint64_t> directories{tree.root()};
    std::unordered_set<uint64_t> seen;
    while (!directories.empty()) {
        const uint64_t directory = directories.back();
        directories.pop_back();
        host.poll();
        tree.list(directory, [&](std::string_view, uint64_t node, uint32_t type) {
            if ((type & S_IFMT) == S_IFDIR) {
                directories.push_back(node);
                return true;
            }
            if ((type & S_IFMT) != S_IFREG) return true;
            const sg_attr attr = tree.stat(node);
            if (attr.content == SG_NO_CONTENT || (attr.nlink > 1 && !seen.insert(attr.inode).second)) return true;
            if (attr.content >= references_.size())
                throw Error(Code::internal,
                            "the tree names the content " + std::to_string(attr.content) + ", which nobody gave");
            uint8_t& count = references_[static_cast<size_t>(attr.content)];
            if (count < 2) ++count;
            return true;
        });
    }
}

void DirectoryWriter::choose_staging_name(const Tree& tree) {
    std::string name = staging_name_;
    while (tree.lookup(tree.root(), name) != SG_NO_NODE) name += "_";
    if (name == staging_name_) return;
    if (::renameat(root_.get(), staging_name_.c_str(), root_.get(), name.c_str()) != 0)
        throw_errno("cannot rename", path_ + "/" + staging_name_);
    staging_name_ = name;
}

void DirectoryWriter::make_tree(const Tree& tree, const Host& host) {
    std::vector<Level> levels;
    levels.push_back({tree.root(), "", Fd(::openat(root_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
                      entries_of(tree, tree.root())});
    if (!levels.back().fd) throw_errno("cannot open", path_);
    while (!levels.empty()) {
        Level& level = levels.back();
        if (level.next == level.entries.size()) {
            if (levels.size() == 1) {
                remove_staging();
            } else if (Level& above = levels[levels.size() - 2]; !above.fd) {
                above.fd = Fd(::openat(level.fd.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
                if (!above.fd) throw_errno("cannot open the directory above", shown(""));
            }
            dress_directory(tree, level);
            where_.resize(where_.size() - std::min(where_.size(), level.name.size() + 1));
            levels.pop_back();
            continue;
        }
        host.poll();
        const Entry entry = std::move(level.entries[level.next++]);
        const sg_attr attr = tree.stat(entry.node);
        if (type_of(attr) != S_IFDIR) {
            make(tree, {level.fd.get(), entry.name, entry.node, attr});
            continue;
        }
        if (::mkdirat(level.fd.get(), entry.name.c_str(), 0700) != 0)
            throw_errno("cannot make the directory", shown(entry.name));
        Fd fd(::openat(level.fd.get(), entry.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!fd) throw_errno("cannot open", shown(entry.name));
        where_ += (where_.empty() ? "" : "/") + entry.name;
        if (levels.size() >= open_levels) levels[levels.size() - open_levels].fd = Fd();
        levels.push_back({entry.node, entry.name, std::move(fd), entries_of(tree, entry.node)});
    }
}

void DirectoryWriter::make(const Tree& tree, const Place& place) {
    if (place.attr.nlink <= 1) {
        if (make_new(tree, place)) dress(tree, place);
        return;
    }
    // A file with several names is made in the staging folder and linked from there.
    const auto [it, first] = linked_.try_emplace(place.attr.inode);
    if (first) {
        Place staged = place;
        staged.directory = staging_.get();
        staged.name = "link" + std::to_string(linked_.size());
        if (make_new(tree, staged)) {
            dress(tree, staged);
            it->second = staged.name;
        }
    }
    if (it->second.empty()) return;
    if (::linkat(staging_.get(), it->second.c_str(), place.directory, place.name.c_str(), 0) != 0)
        throw_errno("cannot make the hard link", shown(place.name));
}

bool DirectoryWriter::make_new(const Tree& tree, const Place& p) {
    const char* name = p.name.c_str();
    switch (type_of(p.attr)) {
        case S_IFREG: place_content(p); return true;
        case S_IFLNK:
            if (::symlinkat(tree.link_target(p.node).c_str(), p.directory, name) != 0)
                throw_errno("cannot make the link", shown(p.name));
            return true;
        case S_IFIFO:
        case S_IFSOCK:
        case S_IFCHR:
        case S_IFBLK: {
            const bool device = type_of(p.attr) == S_IFCHR || type_of(p.attr) == S_IFBLK;
            if (::mknodat(p.directory, name, type_of(p.attr) | 0600,
                          device ? gnu_dev_makedev(p.attr.major, p.attr.minor) : 0) == 0)
                return true;
            if (!device || errno != EPERM) throw_errno("cannot make", shown(p.name));
            ++skipped_.devices;
            return false;
        }
        default: throw Error(Code::corrupt, shown(p.name) + " is of no type that a file can have");
    }
}

void DirectoryWriter::place_content(const Place& p) {
    const uint64_t id = p.attr.content;
    if (id != SG_NO_CONTENT && references_[static_cast<size_t>(id)] == 1) {
        if (::renameat(staging_.get(), std::to_string(id).c_str(), p.directory, p.name.c_str()) != 0)
            throw_errno("cannot make", shown(p.name));
        return;
    }
    const Fd file(::openat(p.directory, p.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file) throw_errno("cannot create", shown(p.name));
    if (id == SG_NO_CONTENT) return;
    const Fd from(::openat(staging_.get(), std::to_string(id).c_str(), O_RDONLY | O_CLOEXEC));
    if (!from) throw_errno("cannot read the content of", shown(p.name));
    copy_file(from.get(), file.get(), shown(p.name));
}

void DirectoryWriter::set_xattrs(const Tree& tree, uint64_t node, const std::string& path) {
    for (const auto& [name, value] : tree.xattrs(node)) {
        if (::lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) == 0) continue;
        if (errno != EPERM && errno != EACCES && errno != ENOTSUP && errno != EINVAL)
            throw_errno("cannot set the attribute " + name + " of", path);
        ++skipped_.xattrs;
    }
}

// Owner first (it clears set-id bits and capabilities), then attributes (a user may not set them on a file without
// the right to write), then mode, then times.
void DirectoryWriter::dress(const Tree& tree, const Place& p) {
    const char* name = p.name.c_str();
    if (as_root_ && ::fchownat(p.directory, name, p.attr.uid, p.attr.gid, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != EPERM && errno != EINVAL) throw_errno("cannot set the owner of", shown(p.name));
        ++skipped_.owners;
    }
    set_xattrs(tree, p.node, "/proc/self/fd/" + std::to_string(p.directory) + "/" + p.name);
    if (type_of(p.attr) != S_IFLNK && ::fchmodat(p.directory, name, p.attr.mode & 07777, 0) != 0)
        throw_errno("cannot set the mode of", shown(p.name));
    const timespec times[2] = {{p.attr.mtime, 0}, {p.attr.mtime, 0}};
    if (::utimensat(p.directory, name, times, AT_SYMLINK_NOFOLLOW) != 0)
        throw_errno("cannot set the time of", shown(p.name));
}

void DirectoryWriter::dress_directory(const Tree& tree, const Level& level) {
    const sg_attr attr = tree.stat(level.node);
    if (as_root_ && ::fchown(level.fd.get(), attr.uid, attr.gid) != 0) {
        if (errno != EPERM && errno != EINVAL) throw_errno("cannot set the owner of", shown(""));
        ++skipped_.owners;
    }
    set_xattrs(tree, level.node, "/proc/self/fd/" + std::to_string(level.fd.get()) + "/.");
    if (::fchmod(level.fd.get(), attr.mode & 07777) != 0) throw_errno("cannot set the mode of", shown(""));
    const timespec times[2] = {{attr.mtime, 0}, {attr.mtime, 0}};
    if (::futimens(level.fd.get(), times) != 0) throw_errno("cannot set the time of", shown(""));
}

void DirectoryWriter::remove_staging() {
    const int raw = ::dup(staging_.get());
    std::unique_ptr<DIR, int (*)(DIR*)> stream(raw < 0 ? nullptr : ::fdopendir(raw), ::closedir);
    if (!stream) throw_errno("cannot list", path_ + "/" + staging_name_);
    while (const dirent* e = ::readdir(stream.get())) {
        const std::string_view name = e->d_name;
        if (name != "." && name != ".." && ::unlinkat(staging_.get(), e->d_name, 0) != 0)
            throw_errno("cannot remove", path_ + "/" + staging_name_ + "/" + e->d_name);
    }
    if (::unlinkat(root_.get(), staging_name_.c_str(), AT_REMOVEDIR) != 0)
        throw_errno("cannot remove", path_ + "/" + staging_name_);
}

void DirectoryWriter::warn(const Host& host) const {
    const auto count = [](uint64_t n, const char* one, const char* many) {
        return std::to_string(n) + " " + (n == 1 ? one : many);
    };
    if (skipped_.devices)
        host.warn(count(skipped_.devices, "device node was", "device nodes were") + " left out of " + path_ +
                  ": only root can make them");
    if (skipped_.owners)
        host.warn(count(skipped_.owners, "file keeps", "files keep") + " another owner than in the image in " + path_);
    if (skipped_.xattrs)
        host.warn(count(skipped_.xattrs, "extended attribute was", "extended attributes were") + " left out of " +
                  path_ + ": not allowed here, or not known to the file system");
}

}  // namespace sandbox
