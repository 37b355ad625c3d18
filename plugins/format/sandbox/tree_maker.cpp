#include "sandbox/tree_maker.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

namespace sandbox {

using singularity::Code;
using singularity::Error;
using singularity::Slice;

namespace {

constexpr uint64_t copy_bytes = 1 << 20;

uint32_t type_of(const sg_attr& attr) { return attr.mode & S_IFMT; }

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

std::string TreeMaker::shown(const std::string& above, const std::string& name) const {
    return p_.path + "/" + above + (above.empty() ? "" : "/") + name;
}

void TreeMaker::make(unsigned threads) {
    todo_.push_back({p_.tree.root(), ""});
    made_.push_back(todo_.back());
    std::vector<std::thread> others;
    for (unsigned i = 1; i < threads; ++i) try {
            others.emplace_back([this] { work(); });
        } catch (const std::system_error&) {
            break;  // no more threads for this user
        }
    work();
    for (auto& t : others) t.join();
    if (failure_) std::rethrow_exception(failure_);
}

void TreeMaker::work() {
    Counts counts;
    std::unique_lock lock(mutex_);
    for (;;) {
        change_.wait(lock, [&] { return !todo_.empty() || busy_ == 0 || failure_; });
        if (todo_.empty() || failure_) break;
        const Directory next = std::move(todo_.back());
        todo_.pop_back();
        ++busy_;
        lock.unlock();
        try {
            fill(next, counts);
            lock.lock();
        } catch (...) {
            lock.lock();
            if (!failure_) failure_ = std::current_exception();
        }
        if (--busy_ == 0 || failure_) change_.notify_all();
    }
    skipped_.devices += counts.devices, skipped_.owners += counts.owners, skipped_.xattrs += counts.xattrs;
}

void TreeMaker::fill(const Directory& directory, Counts& counts) {
    std::vector<std::pair<std::string, uint64_t>> entries;
    p_.tree.list(directory.node, [&](std::string_view name, uint64_t node, uint32_t) {
        check_name(name);
        entries.emplace_back(name, node);
        return true;
    });
    const Fd fd = open_beneath(p_.root, directory.path, O_RDONLY | O_DIRECTORY);
    if (!fd) throw_errno("cannot open", shown(directory.path, ""));
    std::vector<Directory> below;
    for (auto& [name, node] : entries) {
        host_.poll();
        const sg_attr attr = p_.tree.stat(node);
        if (type_of(attr) != S_IFDIR) {
            make_entry({fd.get(), directory.path, std::move(name), node, attr}, counts);
            continue;
        }
        if (::mkdirat(fd.get(), name.c_str(), 0700) != 0)
            throw_errno("cannot make the directory", shown(directory.path, name));
        below.push_back({node, directory.path + (directory.path.empty() ? "" : "/") + name});
    }
    if (below.empty()) return;
    const std::lock_guard lock(mutex_);
    made_.insert(made_.end(), below.begin(), below.end());
    // The first one is taken first: files lie in the image in this order.
    todo_.insert(todo_.end(), std::make_move_iterator(below.rbegin()), std::make_move_iterator(below.rend()));
    change_.notify_all();
}

void TreeMaker::make_entry(const Entry& entry, Counts& counts) {
    if (entry.attr.nlink <= 1) {
        (void)make_whole(entry, counts);
        return;
    }
    // A file with several names is made in the staging folder and linked from there.
    const std::lock_guard lock(links_mutex_);
    const auto [it, first] = linked_.try_emplace(entry.attr.inode);
    if (first) {
        const Entry staged{p_.staging, entry.above, "link" + std::to_string(linked_.size()), entry.node, entry.attr};
        if (make_whole(staged, counts)) it->second = staged.name;
    }
    if (it->second.empty()) return;
    if (::linkat(p_.staging, it->second.c_str(), entry.directory, entry.name.c_str(), 0) != 0)
        throw_errno("cannot make the hard link", shown(entry.above, entry.name));
}

bool TreeMaker::make_whole(const Entry& entry, Counts& counts) {
    const Made made = make_new(entry, counts);
    if (made == Made::bare) dress(entry, counts);
    return made != Made::skipped;
}

TreeMaker::Made TreeMaker::make_new(const Entry& e, Counts& counts) {
    const char* name = e.name.c_str();
    switch (type_of(e.attr)) {
        case S_IFREG: return make_file(e, counts);
        case S_IFLNK:
            if (::symlinkat(p_.tree.link_target(e.node).c_str(), e.directory, name) != 0)
                throw_errno("cannot make the link", shown(e.above, e.name));
            return Made::bare;
        case S_IFIFO:
        case S_IFSOCK:
        case S_IFCHR:
        case S_IFBLK: {
            const bool device = type_of(e.attr) == S_IFCHR || type_of(e.attr) == S_IFBLK;
            if (::mknodat(e.directory, name, type_of(e.attr) | 0600,
                          device ? gnu_dev_makedev(e.attr.major, e.attr.minor) : 0) == 0)
                return Made::bare;
            if (!device || errno != EPERM) throw_errno("cannot make", shown(e.above, e.name));
            ++counts.devices;
            return Made::skipped;
        }
        default: throw Error(Code::corrupt, shown(e.above, e.name) + " is of no type that a file can have");
    }
}

TreeMaker::Made TreeMaker::make_file(const Entry& e, Counts& counts) {
    const uint64_t id = e.attr.content;
    const Content* content = id == SG_NO_CONTENT ? nullptr : &p_.contents[static_cast<size_t>(id)];
    if (content && !content->from && !content->packed && content->references == 1) {
        if (::renameat(p_.staging, std::to_string(id).c_str(), e.directory, e.name.c_str()) != 0)
            throw_errno("cannot make", shown(e.above, e.name));
        return Made::bare;
    }
    const Fd file(::openat(e.directory, e.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) throw_errno("cannot create", shown(e.above, e.name));
    if (content && content->from) {
        write_from_reader(e, *content, file.get());
    } else if (content && content->packed) {
        write_packed(e, *content, file.get());
    } else if (content) {
        const Fd from(::openat(p_.staging, std::to_string(id).c_str(), O_RDONLY | O_CLOEXEC));
        if (!from) throw_errno("cannot read the content of", shown(e.above, e.name));
        copy_file(from.get(), file.get(), shown(e.above, e.name));
    }
    dress_open(file.get(), e.node, e.attr, shown(e.above, e.name), counts);
    return Made::dressed;
}

void TreeMaker::write_packed(const Entry& e, const Content& content, int file) const {
    uint8_t bytes[PackedContents::largest];
    const auto size = static_cast<size_t>(content.size);
    p_.packed->read(*content.packed, {bytes, size});
    write_all(file, Slice::borrowed(bytes, size), 0, shown(e.above, e.name));
}

void TreeMaker::write_from_reader(const Entry& e, const Content& content, int file) {
    const std::string path = shown(e.above, e.name);
    bool ends_in_hole = false;
    for (uint64_t at = 0; at < content.size;) {
        host_.poll();
        const Slice s = content.from->block(content.node, at);
        if (s.size() == 0 || s.size() > content.size - at)
            throw Error(Code::corrupt,
                        path + " has other bytes than its size of " + std::to_string(content.size) + " says");
        if (!s.is_hole()) write_all(file, s, at, path);
        ends_in_hole = s.is_hole();
        at += s.size();
    }
    if (ends_in_hole && ::ftruncate(file, static_cast<off_t>(content.size)) != 0) throw_errno("cannot write", path);
}

void TreeMaker::set_xattrs(uint64_t node, const std::string& path, Counts& counts) {
    for (const auto& [name, value] : p_.tree.xattrs(node)) {
        if (::lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) == 0) continue;
        if (errno != EPERM && errno != EACCES && errno != ENOTSUP && errno != EINVAL)
            throw_errno("cannot set the attribute " + name + " of", path);
        ++counts.xattrs;
    }
}

// Owner first (it clears set-id bits and capabilities), then attributes (a user may not set them on a file without
// the right to write), then mode, then times.
void TreeMaker::dress(const Entry& e, Counts& counts) {
    const char* name = e.name.c_str();
    if (p_.as_root && ::fchownat(e.directory, name, e.attr.uid, e.attr.gid, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != EPERM && errno != EINVAL) throw_errno("cannot set the owner of", shown(e.above, e.name));
        ++counts.owners;
    }
    set_xattrs(e.node, "/proc/self/fd/" + std::to_string(e.directory) + "/" + e.name, counts);
    if (type_of(e.attr) != S_IFLNK && ::fchmodat(e.directory, name, e.attr.mode & 07777, 0) != 0)
        throw_errno("cannot set the mode of", shown(e.above, e.name));
    const timespec times[2] = {{e.attr.mtime, 0}, {e.attr.mtime, 0}};
    if (::utimensat(e.directory, name, times, AT_SYMLINK_NOFOLLOW) != 0)
        throw_errno("cannot set the time of", shown(e.above, e.name));
}

void TreeMaker::dress_open(int fd, uint64_t node, const sg_attr& attr, const std::string& path, Counts& counts) {
    // Most belong to root already; asking costs less than a change that changes nothing.
    struct stat st {};
    const bool is_owner = ::fstat(fd, &st) == 0 && st.st_uid == attr.uid && st.st_gid == attr.gid;
    if (p_.as_root && !is_owner && ::fchown(fd, attr.uid, attr.gid) != 0) {
        if (errno != EPERM && errno != EINVAL) throw_errno("cannot set the owner of", path);
        ++counts.owners;
    }
    for (const auto& [name, value] : p_.tree.xattrs(node)) {
        if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) == 0) continue;
        if (errno != EPERM && errno != EACCES && errno != ENOTSUP && errno != EINVAL)
            throw_errno("cannot set the attribute " + name + " of", path);
        ++counts.xattrs;
    }
    if (::fchmod(fd, attr.mode & 07777) != 0) throw_errno("cannot set the mode of", path);
    const timespec times[2] = {{attr.mtime, 0}, {attr.mtime, 0}};
    if (::futimens(fd, times) != 0) throw_errno("cannot set the time of", path);
}

void TreeMaker::dress_directories() {
    for (auto it = made_.rbegin(); it != made_.rend(); ++it) {
        host_.poll();
        const Fd fd = open_beneath(p_.root, it->path, O_RDONLY | O_DIRECTORY);
        if (!fd) throw_errno("cannot open", shown(it->path, ""));
        dress_open(fd.get(), it->node, p_.tree.stat(it->node), shown(it->path, ""), skipped_);
    }
}

}  // namespace sandbox
