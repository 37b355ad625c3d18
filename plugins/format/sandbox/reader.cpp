#include "sandbox/reader.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sandbox {

using singularity::Code;
using singularity::Error;
using singularity::Slice;

namespace {

constexpr uint64_t block_bytes = 1 << 20;
constexpr uint32_t type_bits = S_IFMT;

uint32_t mode_of(unsigned char type) {
    switch (type) {
        case DT_REG: return S_IFREG;
        case DT_DIR: return S_IFDIR;
        case DT_LNK: return S_IFLNK;
        case DT_CHR: return S_IFCHR;
        case DT_BLK: return S_IFBLK;
        case DT_FIFO: return S_IFIFO;
        case DT_SOCK: return S_IFSOCK;
        default: return 0;
    }
}

// A call for a value of unknown size, repeated when it grew meanwhile.
template <class Call>
ssize_t read_grown(std::vector<char>& buffer, Call call) {
    for (;;) {
        const ssize_t n = call(buffer.data(), buffer.size());
        if (n >= 0 || errno != ERANGE) return n;
        const ssize_t need = call(nullptr, 0);
        if (need < 0) return need;
        buffer.resize(static_cast<size_t>(need) + 256);
    }
}

}  // namespace

DirectoryRoot::DirectoryRoot(const std::string& path)
    : path_(path), root_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (!root_) throw_errno("cannot open the directory", path);
    struct stat st {};
    if (::fstat(root_.get(), &st) != 0) throw_errno("cannot read", path);
    device_ = st.st_dev;
    own_uid_ = ::geteuid();
    own_gid_ = own_uid_ == 0 ? 0 : ::getegid();
    nodes_.push_back({0, ""});
}

std::string DirectoryRoot::shown(const std::string& relative) const { return path_ + "/" + relative; }

uint64_t DirectoryRoot::node_of(uint64_t dir, std::string_view name) {
    const std::lock_guard lock(mutex_);
    const auto it = by_name_.find({dir, name});
    if (it != by_name_.end()) return it->second;
    const uint64_t node = nodes_.size();
    nodes_.push_back({dir, std::string(name)});
    by_name_.emplace(std::pair{dir, std::string_view(nodes_.back().name)}, node);
    return node;
}

std::string DirectoryRoot::relative(uint64_t node) {
    const std::lock_guard lock(mutex_);
    if (node >= nodes_.size()) throw Error(Code::not_found, path_ + " has no node " + std::to_string(node));
    std::vector<const std::string*> names;
    size_t length = 0;
    for (; node != 0; node = nodes_[node].parent) {
        names.push_back(&nodes_[node].name);
        length += names.back()->size() + 1;
    }
    std::string out;
    out.reserve(length);
    for (auto name = names.rbegin(); name != names.rend(); ++name) {
        if (!out.empty()) out += '/';
        out += **name;
    }
    return out;
}

Fd DirectoryRoot::open(const std::string& relative, int flags) {
    Fd fd = open_beneath(root_.get(), relative, flags | O_NOCTTY);
    if (fd) return fd;
    const int error = errno;
    Error e = system_error(error, "cannot open", shown(relative));
    if (error == EACCES)
        throw Error(e.code(), e.message(),
                    "read the directory as its owner or as root, or give its owner the right to read it");
    throw e;
}

uint64_t DirectoryRoot::inode_number(uint64_t device, uint64_t inode) {
    if (device == device_) return inode == 0 ? 1 : inode;
    const std::lock_guard lock(mutex_);
    return foreign_inodes_.try_emplace({device, inode}, (uint64_t{1} << 63) + foreign_inodes_.size()).first->second;
}

sg_attr DirectoryRoot::stat(uint64_t node) {
    const std::string path = relative(node);
    const Fd fd = open(path, O_PATH);
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0) throw_errno("cannot read", shown(path));
    sg_attr a{};
    a.mode = st.st_mode;
    // An ordinary user's sandbox cannot hold owners: what is the user's own there was root's in the image.
    a.uid = st.st_uid == own_uid_ ? 0 : st.st_uid;
    a.gid = st.st_gid == own_gid_ ? 0 : st.st_gid;
    a.nlink = static_cast<uint32_t>(std::min<uint64_t>(st.st_nlink, UINT32_MAX));
    a.mtime = st.st_mtim.tv_sec;
    if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)) a.size = static_cast<uint64_t>(st.st_size);
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
        a.major = gnu_dev_major(st.st_rdev), a.minor = gnu_dev_minor(st.st_rdev);
    a.inode = inode_number(st.st_dev, st.st_ino);
    a.content = SG_NO_CONTENT;
    return a;
}

uint64_t DirectoryRoot::lookup(uint64_t dir, std::string_view name) {
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string_view::npos ||
        name.find('\0') != std::string_view::npos)
        return SG_NO_NODE;
    const std::string base = relative(dir);
    const std::string path = base.empty() ? std::string(name) : base + "/" + std::string(name);
    const Fd fd = open_beneath(root_.get(), path, O_PATH);
    if (!fd) {
        if (errno == ENOENT || errno == ENAMETOOLONG) return SG_NO_NODE;
        throw_errno("cannot open", shown(path));
    }
    return node_of(dir, name);
}

void DirectoryRoot::list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) {
    const std::string path = relative(dir);
    Fd fd = open(path, O_RDONLY | O_DIRECTORY);
    const int raw = ::dup(fd.get());
    std::unique_ptr<DIR, int (*)(DIR*)> stream(raw < 0 ? nullptr : ::fdopendir(raw), ::closedir);
    if (!stream) throw_errno("cannot list", shown(path));
    std::vector<std::pair<std::string, uint32_t>> entries;
    for (;;) {
        errno = 0;
        const dirent* e = ::readdir(stream.get());
        if (!e) {
            if (errno != 0) throw_errno("cannot list", shown(path));
            break;
        }
        const std::string_view name = e->d_name;
        if (name == "." || name == "..") continue;
        uint32_t type = mode_of(e->d_type);
        if (type == 0) {
            struct stat st {};
            if (::fstatat(fd.get(), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
                throw_errno("cannot read", shown(path) + "/" + e->d_name);
            type = st.st_mode & type_bits;
        }
        entries.emplace_back(name, type);
    }
    std::sort(entries.begin(), entries.end());
    for (uint64_t i = cursor; i < entries.size(); ++i) {
        const auto& [name, type] = entries[static_cast<size_t>(i)];
        if (visit(arg, name.c_str(), name.size(), node_of(dir, name), type, i + 1) != 0) return;
    }
}

std::string DirectoryRoot::link_target(uint64_t node) {
    const std::string path = relative(node);
    const Fd fd = open(path, O_PATH);
    std::string target(256, '\0');
    for (;;) {
        const ssize_t n = ::readlinkat(fd.get(), "", target.data(), target.size());
        if (n < 0) throw_errno("cannot read the link", shown(path));
        if (static_cast<size_t>(n) < target.size()) {
            target.resize(static_cast<size_t>(n));
            return target;
        }
        target.resize(target.size() * 2);
    }
}

void DirectoryRoot::xattrs(uint64_t node, sg_visit_xattr visit, void* arg) {
    const std::string path = relative(node);
    // A descriptor of O_PATH has no attributes of its own, its name in /proc does, for every type of file.
    const Fd fd = open(path, O_PATH);
    const std::string name = "/proc/self/fd/" + std::to_string(fd.get());
    std::vector<char> names(1024), value(1024);
    const ssize_t n = read_grown(names, [&](char* to, size_t size) { return ::listxattr(name.c_str(), to, size); });
    if (n < 0) {
        if (errno == ENOTSUP || errno == EOPNOTSUPP || errno == ENOENT) return;
        throw_errno("cannot read the extended attributes of", shown(path));
    }
    std::vector<std::string> sorted;
    for (const char* at = names.data(); at < names.data() + n; at += std::strlen(at) + 1) sorted.emplace_back(at);
    std::sort(sorted.begin(), sorted.end());
    for (const std::string& key : sorted) {
        // The label that this machine's SELinux gives says nothing of the image.
        if (key == "security.selinux") continue;
        const ssize_t size =
            read_grown(value, [&](char* to, size_t room) { return ::getxattr(name.c_str(), key.c_str(), to, room); });
        if (size < 0) {
            if (errno == ENODATA) continue;
            throw_errno("cannot read the extended attribute " + key + " of", shown(path));
        }
        if (visit(arg, key.c_str(), value.data(), static_cast<uint64_t>(size)) != 0) return;
    }
}

std::shared_ptr<const DirectoryRoot::OpenFile> DirectoryRoot::open_file(uint64_t node) {
    {
        const std::lock_guard lock(mutex_);
        if (last_file_ && last_file_->node == node) return last_file_;
    }
    const std::string path = relative(node);
    // O_NONBLOCK: a FIFO that took the file's place must not block.
    Fd fd = open(path, O_RDONLY | O_NONBLOCK);
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0) throw_errno("cannot read", shown(path));
    if (!S_ISREG(st.st_mode)) throw Error(Code::invalid, shown(path) + " is no regular file");
    auto file = std::make_shared<OpenFile>(OpenFile{node, std::move(fd), static_cast<uint64_t>(st.st_size)});
    const std::lock_guard lock(mutex_);
    last_file_ = file;
    return file;
}

uint64_t DirectoryRoot::read(uint64_t node, uint64_t offset, void* data, uint64_t capacity) {
    const auto file = open_file(node);
    uint64_t done = 0;
    while (done < capacity && offset <= static_cast<uint64_t>(INT64_MAX) - done) {
        const ssize_t n = ::pread(file->fd.get(), static_cast<char*>(data) + done, static_cast<size_t>(capacity - done),
                                  static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot read", shown(relative(node)));
        if (n == 0) break;
        done += static_cast<uint64_t>(n);
    }
    return done;
}

Slice DirectoryRoot::block(uint64_t node, uint64_t offset) {
    const auto file = open_file(node);
    if (offset >= file->size) return {};
    const uint64_t left = file->size - offset;
    uint64_t size = std::min(left, block_bytes);
    // Holes are not read. (The position that lseek moves is used by nobody.)
    const off_t data_at = ::lseek(file->fd.get(), static_cast<off_t>(offset), SEEK_DATA);
    if (data_at < 0 && errno == ENXIO) return Slice::hole(left);
    if (data_at > static_cast<off_t>(offset))
        return Slice::hole(std::min(left, static_cast<uint64_t>(data_at) - offset));
    std::vector<uint8_t> bytes(static_cast<size_t>(size));
    size = read(node, offset, bytes.data(), size);
    bytes.resize(static_cast<size_t>(size));
    return Slice::owned(std::move(bytes));
}

void DirectoryRoot::totals(uint64_t& bytes, uint64_t& inodes, uint32_t& block_size) {
    const std::lock_guard lock(mutex_);
    bytes = 0;
    inodes = nodes_.size();
    block_size = 4096;
}

}  // namespace sandbox
