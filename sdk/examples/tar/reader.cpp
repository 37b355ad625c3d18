#include "reader.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace tarball {

using singularity::Code;
using singularity::Error;
using singularity::Slice;

namespace {

constexpr uint32_t piece = 128 << 10;
constexpr size_t most_nodes = 16u << 20;
constexpr size_t deepest = 4096;

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

std::string shown(const char* name) { return "'" + std::string(name).substr(0, 200) + "'"; }

}  // namespace

TarRoot::TarRoot(int fd, std::string path) : fd_(fd), path_(std::move(path)) {
    struct stat st {};
    if (::fstat(fd, &st) != 0 || ::lseek(fd, 0, SEEK_SET) != 0)
        throw Error(Code::io, path_ + ": " + std::strerror(errno));
    add_node(S_IFDIR | 0755);
    const Utf8Names names;
    const Reading a(archive_read_new(), archive_read_free);
    archive_read_support_format_tar(a.get());
    try {
        check(a.get(), archive_read_open_fd(a.get(), fd, 64 << 10), Code::corrupt, "it cannot be read");
        archive_entry* entry = nullptr;
        for (int r; (r = archive_read_next_header(a.get(), &entry)) != ARCHIVE_EOF;) {
            check(a.get(), r, Code::corrupt, "it is damaged");
            // So many bytes were read up to here, without any that were only looked at.
            add(entry, static_cast<uint64_t>(archive_filter_bytes(a.get(), 0)), static_cast<uint64_t>(st.st_size));
        }
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

uint64_t TarRoot::find(const std::string& name) const {
    uint64_t node = 0;
    for (const std::string& part : parts_of(name)) {
        const auto found = nodes_[node].children.find(part);
        if (found == nodes_[node].children.end()) return SG_NO_NODE;
        node = found->second;
    }
    return node;
}

void TarRoot::add(archive_entry* entry, uint64_t offset, uint64_t file_size) {
    const char* given = archive_entry_pathname(entry);
    if (!given) throw Error(Code::corrupt, "an entry has no name");
    std::string name;
    const uint64_t dir = parent_of(given, name);
    if (const char* first = archive_entry_hardlink(entry)) {
        const uint64_t target = find(first);
        if (name.empty() || target == SG_NO_NODE || S_ISDIR(nodes_[target].attr.mode))
            throw Error(Code::corrupt,
                        shown(given) + " is a hard link to " + shown(first) + ", which is no file before it");
        ++nodes_[target].attr.nlink;
        return place(dir, name, target);
    }
    if (archive_entry_sparse_count(entry) > 0)
        throw Error(Code::unsupported, "it holds sparse files", "Make it again without tar's option --sparse.");

    const uint32_t type = archive_entry_filetype(entry);
    uint64_t node = 0;
    if (name.empty()) {
        if (type != S_IFDIR) throw Error(Code::corrupt, "its root is no directory");
    } else if (const uint64_t known = lookup(dir, name);
               type == S_IFDIR && known != SG_NO_NODE && S_ISDIR(nodes_[known].attr.mode)) {
        node = known;  // listed after what is in it, or twice: it keeps its children
    } else {
        node = add_node(0);
        place(dir, name, node);
    }
    Node& n = nodes_[node];
    n.attr.mode = type | (archive_entry_mode(entry) & 07777);
    n.attr.uid = static_cast<uint32_t>(archive_entry_uid(entry));
    n.attr.gid = static_cast<uint32_t>(archive_entry_gid(entry));
    n.attr.mtime = archive_entry_mtime(entry);
    n.attr.major = static_cast<uint32_t>(archive_entry_rdevmajor(entry));
    n.attr.minor = static_cast<uint32_t>(archive_entry_rdevminor(entry));
    if (type == S_IFREG) {
        n.offset = offset;
        n.attr.size = static_cast<uint64_t>(archive_entry_size(entry));
        if (offset > file_size || n.attr.size > file_size - offset)
            throw Error(Code::corrupt, "it ends inside of " + shown(given));
    }
    if (const char* target = type == S_IFLNK ? archive_entry_symlink(entry) : nullptr)
        n.attr.size = std::strlen(n.link.assign(target).c_str());
    archive_entry_xattr_reset(entry);
    const char* key = nullptr;
    const void* value = nullptr;
    for (size_t size = 0; archive_entry_xattr_next(entry, &key, &value, &size) == ARCHIVE_OK;)
        n.xattrs.emplace_back(key, std::string(static_cast<const char*>(value), size));
    total_ += n.attr.size;
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
        if (visit(arg, it->first.data(), it->first.size(), it->second, nodes_[it->second].attr.mode & S_IFMT,
                  ++cursor) != 0)
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
    for (uint64_t done = 0; done < want;) {
        const ssize_t r =
            ::pread(fd_, static_cast<char*>(data) + done, want - done, static_cast<off_t>(n.offset + offset + done));
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) throw Error(Code::io, "cannot read " + path_ + ": " + std::strerror(errno));
        if (r == 0) throw Error(Code::corrupt, path_ + " is shorter than it was");
        done += static_cast<uint64_t>(r);
    }
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
