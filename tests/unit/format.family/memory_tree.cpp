// SPDX-License-Identifier: BSD-3-Clause
#include "memory_tree.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <stdexcept>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace testing {

using singularity::Slice;

Slice BytesStream::next() {
    const size_t n = std::min(piece_, bytes_.size() - at_);
    const char* p = bytes_.data() + at_;
    at_ += n;
    return n == 0 ? Slice() : Slice::borrowed(p, n);
}

Slice PiecesStream::next() {
    if (at_ == pieces_.size()) return {};
    const Piece p = pieces_[at_++];
    if (p.size < 0) return Slice::hole(static_cast<uint64_t>(-p.size));
    now_.assign(static_cast<size_t>(p.size), p.fill);
    return Slice::borrowed(now_.data(), now_.size());
}

FileStream::FileStream(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) throw std::runtime_error("cannot open " + path);
}
FileStream::~FileStream() { close(fd_); }
Slice FileStream::next() {
    // One for all: clearing it for each file took longer than compressing most of them.
    static thread_local std::vector<uint8_t> buffer(size_t{1} << 20);
    const ssize_t n = ::read(fd_, buffer.data(), buffer.size());
    if (n < 0) throw std::runtime_error("cannot read a file");
    return n == 0 ? Slice() : Slice::borrowed(buffer.data(), static_cast<uint64_t>(n));
}

MemoryTree::MemoryTree() {
    nodes_.emplace_back();
    nodes_[0].attr.mode = 040755;
    nodes_[0].attr.nlink = 2;
    nodes_[0].attr.inode = 1;
    nodes_[0].attr.content = SG_NO_CONTENT;
}

MemoryTree::Node& MemoryTree::at(const std::string& path) {
    uint64_t node = 0;
    for (size_t i = 0; i < path.size();) {
        const size_t end = std::min(path.find('/', i), path.size());
        node = nodes_[node].children.at(path.substr(i, end - i));
        i = end + 1;
    }
    return nodes_[node];
}

MemoryTree::Node& MemoryTree::add(const std::string& path, uint32_t mode) {
    const size_t slash = path.rfind('/');
    const uint64_t id = nodes_.size();
    nodes_.emplace_back();
    Node& parent = slash == std::string::npos ? nodes_[0] : at(path.substr(0, slash));
    parent.children[slash == std::string::npos ? path : path.substr(slash + 1)] = id;
    Node& node = nodes_[id];
    node.attr.mode = mode;
    node.attr.nlink = 1;
    node.attr.inode = id + 1;
    node.attr.content = SG_NO_CONTENT;
    return node;
}

MemoryTree::Node& MemoryTree::file(const std::string& path, uint64_t size, uint64_t content, uint32_t mode) {
    Node& node = add(path, mode);
    node.attr.size = size;
    node.attr.content = content;
    return node;
}

void MemoryTree::link(const std::string& path, const std::string& to) {
    Node& original = at(to);
    ++original.attr.nlink;
    const uint64_t id = original.attr.inode - 1;
    const size_t slash = path.rfind('/');
    Node& parent = slash == std::string::npos ? nodes_[0] : at(path.substr(0, slash));
    parent.children[slash == std::string::npos ? path : path.substr(slash + 1)] = id;
}

singularity::ForeignRoot MemoryTree::foreign() {
    return {singularity::detail::root_table(false), reinterpret_cast<sg_root*>(&box_)};
}

uint64_t MemoryTree::lookup(uint64_t dir, std::string_view name) {
    const auto found = nodes_[dir].children.find(std::string(name));
    return found == nodes_[dir].children.end() ? SG_NO_NODE : found->second;
}

void MemoryTree::list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) {
    uint64_t i = 0;
    for (const auto& [name, node] : nodes_[dir].children) {
        if (i++ < cursor) continue;
        if (visit(arg, name.c_str(), name.size(), node, nodes_[node].attr.mode & S_IFMT, i) != 0) return;
    }
}

void MemoryTree::xattrs(uint64_t node, sg_visit_xattr visit, void* arg) {
    for (const auto& [name, value] : nodes_[node].xattrs)
        if (visit(arg, name.c_str(), value.data(), value.size()) != 0) return;
}

void MemoryTree::scan(const std::string& directory, const std::string& prefix,
                      const std::function<uint64_t(const std::string&, uint64_t)>& store) {
    const auto attributes = [](Node& node, const struct stat& st, const std::string& path) {
        node.attr.mode = st.st_mode;
        node.attr.uid = st.st_uid;
        node.attr.gid = st.st_gid;
        node.attr.mtime = st.st_mtime;
        if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
            node.attr.major = major(st.st_rdev);
            node.attr.minor = minor(st.st_rdev);
        }
        char names[4096];
        const ssize_t n = llistxattr(path.c_str(), names, sizeof names);
        for (ssize_t i = 0; i < n; i += static_cast<ssize_t>(std::string(names + i).size()) + 1) {
            std::string value(65536, '\0');
            const ssize_t size = lgetxattr(path.c_str(), names + i, value.data(), value.size());
            if (size < 0) continue;
            value.resize(static_cast<size_t>(size));
            node.xattrs.emplace_back(names + i, value);
        }
    };
    if (prefix.empty()) {
        struct stat st {};
        if (lstat(directory.c_str(), &st) != 0) throw std::runtime_error("cannot look at " + directory);
        attributes(nodes_[0], st, directory);
    }
    std::vector<std::string> names;
    DIR* d = opendir(directory.c_str());
    if (!d) throw std::runtime_error("cannot list " + directory);
    while (const dirent* e = readdir(d)) names.emplace_back(e->d_name);
    closedir(d);
    std::sort(names.begin(), names.end());
    for (const auto& name : names) {
        if (name == "." || name == "..") continue;
        const std::string path = directory + "/" + name, inside = prefix + name;
        struct stat st {};
        if (lstat(path.c_str(), &st) != 0) throw std::runtime_error("cannot look at " + path);
        if (st.st_nlink > 1 && !S_ISDIR(st.st_mode)) {
            const auto [seen, is_new] = seen_.try_emplace({st.st_dev, st.st_ino}, inside);
            if (!is_new) {
                link(inside, seen->second);
                continue;
            }
        }
        if (S_ISDIR(st.st_mode)) {
            attributes(add(inside, st.st_mode), st, path);
            scan(path, inside + "/", store);
        } else if (S_ISREG(st.st_mode)) {
            const uint64_t id = st.st_size > 0 ? store(path, static_cast<uint64_t>(st.st_size)) : SG_NO_CONTENT;
            attributes(file(inside, static_cast<uint64_t>(st.st_size), id), st, path);
        } else {
            Node& node = add(inside, st.st_mode);
            attributes(node, st, path);
            if (S_ISLNK(st.st_mode)) {
                std::string target(4096, '\0');
                const ssize_t n = readlink(path.c_str(), target.data(), target.size());
                target.resize(n > 0 ? static_cast<size_t>(n) : 0);
                node.target = target;
                node.attr.size = target.size();
            }
        }
    }
}

Foreign::Foreign(singularity::Root& root)
    : box_{&root},
      root_(singularity::detail::root_table(dynamic_cast<singularity::StoredRoot*>(&root) != nullptr), reinterpret_cast<sg_root*>(&box_)) {}

TemporaryFile::TemporaryFile() {
    char name[] = "/tmp/sg-test-XXXXXX";
    fd_ = mkostemp(name, O_CLOEXEC);
    if (fd_ < 0) throw std::runtime_error("cannot make a temporary file");
    unlink(name);
}
TemporaryFile::~TemporaryFile() { close(fd_); }
uint64_t TemporaryFile::size() const {
    struct stat st {};
    if (fstat(fd_, &st) != 0) throw std::runtime_error("cannot look at a temporary file");
    return static_cast<uint64_t>(st.st_size);
}
std::string TemporaryFile::bytes(uint64_t offset, uint64_t count) const {
    std::string out(static_cast<size_t>(std::min(count, size() - std::min(size(), offset))), '\0');
    for (size_t got = 0; got < out.size();) {
        const ssize_t n = pread(fd_, out.data() + got, out.size() - got, static_cast<off_t>(offset + got));
        if (n <= 0) throw std::runtime_error("cannot read a temporary file");
        got += static_cast<size_t>(n);
    }
    return out;
}
std::string TemporaryFile::path() const { return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd_); }

TemporaryDirectory::TemporaryDirectory() {
    const char* base = getenv("TMPDIR");
    path_ = std::string(base ? base : "/tmp") + "/sg-test-XXXXXX";
    if (!mkdtemp(path_.data())) throw std::runtime_error("cannot make a temporary directory");
}
TemporaryDirectory::~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

int run(const std::string& shell_line) {
    const int status = std::system(("(" + shell_line + ") >/dev/null 2>&1").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

bool have_tool(const char* name) { return run("command -v " + std::string(name)) == 0; }

namespace {

class Comparer {
public:
    explicit Comparer(const singularity::ForeignRoot& root) : root_(root) {}

    void directory(uint64_t node, const std::string& path, const std::string& shown) {
        attributes(node, path, shown);
        std::map<std::string, uint64_t> ours;
        std::string before;
        root_.list(node, [&](std::string_view name, uint64_t child, uint32_t type) {
            if (!before.empty() && !(before < name)) say(shown, "is not sorted at " + std::string(name));
            if (type != (root_.stat(child).mode & S_IFMT)) say(shown, "lists another type for " + std::string(name));
            if (root_.lookup(node, name) != child) say(shown, "does not find " + std::string(name));
            before = name;
            ours.emplace(before, child);
            return true;
        });
        std::map<std::string, bool> theirs;
        DIR* d = opendir(path.c_str());
        if (!d) throw std::runtime_error("cannot list " + path);
        while (const dirent* e = readdir(d)) theirs[e->d_name] = true;
        closedir(d);
        theirs.erase(".");
        theirs.erase("..");
        for (const auto& [name, child] : ours)
            if (!theirs.contains(name)) say(shown, "has " + name + " too many");
        for (const auto& [name, here] : theirs) {
            const auto found = ours.find(name);
            if (found == ours.end()) {
                say(shown, "lacks " + name);
                continue;
            }
            const std::string inside = path + "/" + name, as = shown + "/" + name;
            if ((root_.stat(found->second).mode & S_IFMT) == S_IFDIR)
                directory(found->second, inside, as);
            else
                attributes(found->second, inside, as);
        }
    }
    std::string text;

private:
    void say(const std::string& path, const std::string& what) {
        if (text.size() < 10000) text += (path.empty() ? "/" : path) + " " + what + "\n";
    }
    template <class T>
    void same(const std::string& path, const char* what, T ours, T theirs) {
        if (ours != theirs) say(path, std::string(what) + " " + std::to_string(ours) + " instead of " + std::to_string(theirs));
    }
    void attributes(uint64_t node, const std::string& path, const std::string& shown) {
        struct stat st {};
        if (lstat(path.c_str(), &st) != 0) throw std::runtime_error("cannot look at " + path);
        const sg_attr a = root_.stat(node);
        same<uint32_t>(shown, "mode", a.mode, st.st_mode);
        if ((a.mode & S_IFMT) != (st.st_mode & S_IFMT)) return;
        same<uint32_t>(shown, "uid", a.uid, st.st_uid);
        same<uint32_t>(shown, "gid", a.gid, st.st_gid);
        same<int64_t>(shown, "mtime", a.mtime, st.st_mtime);
        if (!S_ISDIR(st.st_mode)) same<uint64_t>(shown, "links", a.nlink, st.st_nlink);
        if (st.st_nlink > 1 && !S_ISDIR(st.st_mode)) {
            const auto [at, is_new] = inodes_.emplace(st.st_ino, a.inode);
            if (!is_new) same<uint64_t>(shown, "inode", a.inode, at->second);
        }
        if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
            same<uint32_t>(shown, "major", a.major, major(st.st_rdev));
            same<uint32_t>(shown, "minor", a.minor, minor(st.st_rdev));
        }
        if (S_ISLNK(st.st_mode)) {
            std::string target(4096, '\0');
            const ssize_t n = readlink(path.c_str(), target.data(), target.size());
            target.resize(n > 0 ? static_cast<size_t>(n) : 0);
            if (root_.link_target(node) != target) say(shown, "links to " + root_.link_target(node));
        }
        xattrs(node, path, shown);
        if (S_ISREG(st.st_mode)) contents(node, path, shown, static_cast<uint64_t>(st.st_size));
    }
    void xattrs(uint64_t node, const std::string& path, const std::string& shown) {
        std::map<std::string, std::string> ours, theirs;
        for (auto& [name, value] : root_.xattrs(node)) ours[name] = value;
        char names[4096];
        const ssize_t n = llistxattr(path.c_str(), names, sizeof names);
        for (ssize_t i = 0; i < n; i += static_cast<ssize_t>(std::string(names + i).size()) + 1) {
            std::string value(65536, '\0');
            const ssize_t size = lgetxattr(path.c_str(), names + i, value.data(), value.size());
            if (size >= 0) theirs[names + i] = value.substr(0, static_cast<size_t>(size));
        }
        if (ours != theirs) say(shown, "has other extended attributes");
    }
    void contents(uint64_t node, const std::string& path, const std::string& shown, uint64_t size) {
        same<uint64_t>(shown, "size", root_.stat(node).size, size);
        const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0) throw std::runtime_error("cannot open " + path);
        std::string &ours = ours_, &theirs = theirs_;
        for (uint64_t at = 0;;) {
            const uint64_t n = root_.read(node, at, ours.data(), ours.size());
            const ssize_t m = pread(fd, theirs.data(), theirs.size(), static_cast<off_t>(at));
            if (m < 0 || static_cast<uint64_t>(m) != n || ours.compare(0, n, theirs, 0, n) != 0) {
                say(shown, "differs in its bytes from " + std::to_string(at) + " on");
                break;
            }
            at += n;
            if (n < ours.size()) break;
        }
        close(fd);
        // The same by blocks.
        if (size > (uint64_t{8} << 20)) return;
        std::string all(size, '\0'), blocks;
        root_.read(node, 0, all.data(), size);
        for (uint64_t at = 0;;) {
            const singularity::Slice s = root_.block(node, at);
            if (s.size() == 0) break;
            if (s.is_hole())
                blocks.append(s.size(), '\0');
            else
                blocks.append(s.text());
            at += s.size();
        }
        if (blocks != all) say(shown, "differs between read and block");
    }

    const singularity::ForeignRoot& root_;
    std::string ours_ = std::string(300001, '\0'), theirs_ = std::string(300001, '\0');
    std::map<ino_t, uint64_t> inodes_;
};

}  // namespace

std::string differences(const singularity::ForeignRoot& root, const std::string& directory) {
    Comparer c(root);
    c.directory(root.root(), directory, "");
    return c.text;
}

std::string noise(uint32_t seed, size_t size) {
    std::string out(size, '\0');
    uint64_t x = seed * 0x9E3779B97F4A7C15u + 1;
    for (auto& c : out) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        c = static_cast<char>(x >> 32);
    }
    return out;
}

std::string text(uint32_t seed, size_t size) {
    static constexpr const char* words[] = {"block ", "inode ", "table ", "layer ", "image ", "mount ", "tree\n", "file "};
    std::string out;
    uint64_t x = seed * 0x9E3779B97F4A7C15u + 1;
    while (out.size() < size) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        out += words[(x >> 32) % 8];
        if (x % 11 == 0) out += std::to_string(x % 1000);
    }
    out.resize(size);
    return out;
}

}  // namespace testing
