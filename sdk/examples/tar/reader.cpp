#include "reader.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "files.hpp"

namespace tarball {

using singularity::Code;
using singularity::Error;
using singularity::Slice;

namespace {

constexpr uint32_t piece = 128 << 10;
constexpr size_t most_nodes = 16u << 20;
constexpr size_t deepest = 4096;

uint32_t type_bits(Type type) {
    switch (type) {
        case Type::directory: return S_IFDIR;
        case Type::symlink: return S_IFLNK;
        case Type::character: return S_IFCHR;
        case Type::block: return S_IFBLK;
        case Type::fifo: return S_IFIFO;
        default: return S_IFREG;
    }
}

// The parts of a name, without empty ones and ".".
std::vector<std::string> parts_of(const std::string& name) {
    std::vector<std::string> out;
    for (size_t at = 0; at <= name.size();) {
        const size_t slash = std::min(name.find('/', at), name.size());
        std::string part = name.substr(at, slash - at);
        at = slash + 1;
        if (part.empty() || part == ".") continue;
        if (part == ".." || part.size() > 255 || part.find('\0') != std::string::npos || out.size() == deepest)
            throw Error(Code::corrupt, "the name '" + name.substr(0, 200) + "' cannot be in a root file system");
        out.push_back(std::move(part));
    }
    return out;
}

}  // namespace

TarRoot::TarRoot(int fd, std::string path) : fd_(fd), path_(std::move(path)) {
    struct stat st {};
    if (::fstat(fd, &st) != 0) throw Error(Code::io, path_ + ": " + std::strerror(errno));
    add_node(S_IFDIR | 0755);
    try {
        EntryReader reader(fd, static_cast<uint64_t>(st.st_size));
        while (auto entry = reader.next()) add(std::move(*entry));
    } catch (const Error& e) {
        throw e.within(path_);
    }
    for (Node& n : nodes_) {
        if (!S_ISDIR(n.attr.mode)) continue;
        n.attr.nlink = 2;
        for (const auto& [name, child] : n.children) n.attr.nlink += S_ISDIR(nodes_[child].attr.mode);
    }
    refuse_archives();
}

void TarRoot::refuse_archives() const {
    const auto has = [&](const char* name) { return nodes_[0].children.contains(name); };
    if (has("bin") || has("usr") || has("etc")) return;
    if (has("oci-layout"))
        throw Error(Code::invalid, path_ + " is an OCI archive and no root file system",
                    "Write oci-archive:" + path_ + ".");
    if (has("manifest.json"))
        throw Error(Code::invalid, path_ + " is a Docker archive and no root file system",
                    "Write docker-archive:" + path_ + ".");
}

const TarRoot::Node& TarRoot::at(uint64_t node) const {
    if (node >= nodes_.size()) throw Error(Code::not_found, "no such node");
    return nodes_[node];
}

uint64_t TarRoot::add_node(uint32_t mode) {
    if (nodes_.size() == most_nodes)
        throw Error(Code::limit, "the tarball has more than " + std::to_string(most_nodes) + " entries");
    Node n;
    n.attr.mode = mode;
    n.attr.nlink = 1;
    n.attr.inode = nodes_.size() + 1;
    n.attr.content = SG_NO_CONTENT;
    nodes_.push_back(std::move(n));
    return nodes_.size() - 1;
}

void TarRoot::place(uint64_t dir, const std::string& name, uint64_t node) {
    const auto [where, is_new] = nodes_[dir].children.try_emplace(name, node);
    if (is_new) return;
    // Entries that come later replace earlier ones, as when it is unpacked.
    --nodes_[where->second].attr.nlink;
    where->second = node;
}

uint64_t TarRoot::parent_of(const std::string& name, std::string& last) {
    std::vector<std::string> parts = parts_of(name);
    last.clear();
    if (parts.empty()) return 0;
    last = std::move(parts.back());
    parts.pop_back();
    uint64_t dir = 0;
    for (const std::string& part : parts) {
        const auto found = nodes_[dir].children.find(part);
        if (found == nodes_[dir].children.end()) {
            const uint64_t made = add_node(S_IFDIR | 0755);
            nodes_[dir].children.emplace(part, made);
            dir = made;
            continue;
        }
        dir = found->second;
        if (!S_ISDIR(nodes_[dir].attr.mode))
            throw Error(Code::corrupt, "'" + name.substr(0, 200) + "' lies below something that is no directory");
    }
    return dir;
}

void TarRoot::add(Entry entry) {
    std::string name;
    const uint64_t dir = parent_of(entry.name, name);
    if (entry.type == Type::hard_link) return add_hard_link(dir, name, entry);

    uint64_t node = 0;
    if (name.empty()) {
        if (entry.type != Type::directory) throw Error(Code::corrupt, "the root of the tarball is no directory");
    } else if (const auto found = nodes_[dir].children.find(name); entry.type == Type::directory &&
                                                                   found != nodes_[dir].children.end() &&
                                                                   S_ISDIR(nodes_[found->second].attr.mode)) {
        node = found->second;  // listed after what is in it, or twice: it keeps its children
    } else {
        node = add_node(0);
        place(dir, name, node);
    }
    Node& n = nodes_[node];
    n.attr.mode = type_bits(entry.type) | entry.mode;
    n.attr.uid = entry.uid, n.attr.gid = entry.gid, n.attr.mtime = entry.mtime;
    n.attr.major = entry.major, n.attr.minor = entry.minor;
    n.offset = entry.offset;
    if (entry.type == Type::file) n.attr.size = entry.size;
    if (entry.type == Type::symlink) n.attr.size = entry.link.size(), n.link = std::move(entry.link);
    n.xattrs = std::move(entry.xattrs);
    total_ += n.attr.size;
}

void TarRoot::add_hard_link(uint64_t dir, const std::string& name, const Entry& entry) {
    uint64_t target = 0;
    for (const std::string& part : parts_of(entry.link)) {
        const auto found = nodes_[target].children.find(part);
        target = found == nodes_[target].children.end() ? SG_NO_NODE : found->second;
        if (target == SG_NO_NODE) break;
    }
    if (name.empty() || target == SG_NO_NODE || S_ISDIR(nodes_[target].attr.mode))
        throw Error(Code::corrupt, "'" + entry.name.substr(0, 200) + "' is a hard link to '" +
                                       entry.link.substr(0, 200) + "', which is no file before it");
    ++nodes_[target].attr.nlink;
    place(dir, name, target);
}

uint64_t TarRoot::lookup(uint64_t dir, std::string_view name) {
    const auto& children = at(dir).children;
    const auto found = children.find(name);
    return found == children.end() ? SG_NO_NODE : found->second;
}

void TarRoot::list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) {
    const auto& children = at(dir).children;
    if (cursor >= children.size()) return;
    for (auto it = std::next(children.begin(), static_cast<ptrdiff_t>(cursor)); it != children.end(); ++it)
        if (visit(arg, it->first.data(), it->first.size(), it->second, at(it->second).attr.mode & S_IFMT, ++cursor) !=
            0)
            return;
}

void TarRoot::xattrs(uint64_t node, sg_visit_xattr visit, void* arg) {
    for (const auto& [name, value] : at(node).xattrs)
        if (visit(arg, name.c_str(), value.data(), value.size()) != 0) return;
}

uint64_t TarRoot::read(uint64_t node, uint64_t offset, void* data, uint64_t capacity) {
    const Node& n = at(node);
    if (!S_ISREG(n.attr.mode) || offset >= n.attr.size) return 0;
    const uint64_t want = std::min(capacity, n.attr.size - offset);
    if (read_at(fd_, data, want, n.offset + offset) != want)
        throw Error(Code::corrupt, path_ + " is shorter than it was");
    return want;
}

Slice TarRoot::block(uint64_t node, uint64_t offset) {
    std::vector<uint8_t> bytes(piece - offset % piece);
    bytes.resize(read(node, offset, bytes.data(), bytes.size()));
    return Slice::owned(std::move(bytes));
}

void TarRoot::totals(uint64_t& bytes, uint64_t& inodes, uint32_t& block_size) {
    bytes = total_, inodes = nodes_.size(), block_size = piece;
}

}  // namespace tarball
