#include "memory_tree.hpp"

#include <string.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <singularity/error.hpp>

namespace conformance {

namespace {

MemoryTree& tree_of(sg_root* r) { return *reinterpret_cast<MemoryTree*>(r); }

MemoryTree::Node* node_of(sg_root* r, uint64_t n, sg_error* err) {
    auto& t = tree_of(r);
    if (n < t.nodes.size()) return &t.nodes[static_cast<size_t>(n)];
    singularity::fill(err, singularity::Code::not_found, "no such node in the kit's tree");
    return nullptr;
}

uint64_t root(sg_root*) { return 0; }

int32_t stat_node(sg_root* self, uint64_t n, sg_attr* out, sg_error* err) {
    const auto* node = node_of(self, n, err);
    if (!node) return SG_ENOTFOUND;
    *out = {};
    out->mode = node->mode;
    out->nlink = node->nlink;
    out->mtime = 1000000000;
    out->size = S_ISREG(node->mode) ? node->bytes.size() : S_ISLNK(node->mode) ? node->target.size() : 0;
    out->inode = node->inode;
    out->content = node->content;
    return SG_OK;
}

int32_t lookup(sg_root* self, uint64_t dir, const char* name, uint64_t length, uint64_t* out, sg_error* err) {
    const auto* node = node_of(self, dir, err);
    if (!node) return SG_ENOTFOUND;
    const auto found = node->children.find(std::string(name, static_cast<size_t>(length)));
    if (found == node->children.end()) return SG_ENOTFOUND;
    *out = found->second;
    return SG_OK;
}

int32_t list(sg_root* self, uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg, sg_error* err) {
    const auto* node = node_of(self, dir, err);
    if (!node) return SG_ENOTFOUND;
    uint64_t at = 0;
    for (const auto& [name, child] : node->children) {
        if (at++ < cursor) continue;
        if (visit(arg, name.data(), name.size(), child, tree_of(self).nodes[static_cast<size_t>(child)].mode & S_IFMT,
                  at) != 0)
            break;
    }
    return SG_OK;
}

int32_t link_target(sg_root* self, uint64_t n, char* out, uint64_t capacity, uint64_t* length, sg_error* err) {
    const auto* node = node_of(self, n, err);
    if (!node) return SG_ENOTFOUND;
    memcpy(out, node->target.data(), static_cast<size_t>(std::min<uint64_t>(capacity, node->target.size())));
    *length = node->target.size();
    return SG_OK;
}

int32_t xattrs(sg_root* self, uint64_t n, sg_visit_xattr, void*, sg_error* err) {
    return node_of(self, n, err) ? SG_OK : SG_ENOTFOUND;
}

void totals(sg_root* self, uint64_t* bytes, uint64_t* inodes, uint32_t* block) {
    *bytes = 0;
    for (const auto& n : tree_of(self).nodes) *bytes += n.bytes.size();
    *inodes = tree_of(self).nodes.size();
    *block = 131072;
}

int32_t stat_of_reader(sg_root* self, uint64_t n, sg_attr* out, sg_error* err) {
    const int32_t rc = stat_node(self, n, out, err);
    if (rc == SG_OK) out->content = SG_NO_CONTENT;
    return rc;
}

int32_t block(sg_root* self, uint64_t n, uint64_t offset, sg_slice* out, sg_error* err) {
    const auto* node = node_of(self, n, err);
    if (!node) return SG_ENOTFOUND;
    *out = {};
    if (offset >= node->bytes.size()) return SG_OK;
    constexpr uint64_t block_size = 131072;
    out->data = reinterpret_cast<const uint8_t*>(node->bytes.data()) + offset;
    out->size = std::min(node->bytes.size() - offset, block_size - offset % block_size);
    return SG_OK;
}

int32_t read(sg_root* self, uint64_t n, uint64_t offset, void* data, uint64_t capacity, uint64_t* got, sg_error* err) {
    const auto* node = node_of(self, n, err);
    if (!node) return SG_ENOTFOUND;
    *got = offset < node->bytes.size() ? std::min(capacity, node->bytes.size() - offset) : 0;
    if (*got) memcpy(data, node->bytes.data() + offset, static_cast<size_t>(*got));
    return SG_OK;
}

int32_t placement(sg_root* self, uint64_t n, sg_placement* out, sg_error* err) {
    *out = {UINT64_MAX, 0, 0};
    return node_of(self, n, err) ? SG_OK : SG_ENOTFOUND;
}

}  // namespace

MemoryTree MemoryTree::sample() {
    MemoryTree t;
    const auto add = [&](uint64_t parent, const std::string& name, uint32_t mode, std::string bytes,
                         std::string target) {
        Node n;
        n.mode = mode;
        n.bytes = std::move(bytes);
        n.target = std::move(target);
        n.inode = t.nodes.size() + 1;
        if (S_ISDIR(mode)) n.nlink = 2;
        t.nodes.push_back(std::move(n));
        const uint64_t number = t.nodes.size() - 1;
        if (number > 0) {
            t.nodes[static_cast<size_t>(parent)].children[name] = number;
            if (S_ISDIR(mode)) ++t.nodes[static_cast<size_t>(parent)].nlink;
        }
        return number;
    };
    // Bytes that do not compress, the same on each run.
    std::string noise(300000, '\0');
    uint32_t state = 1;
    for (char& c : noise) c = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
    add(0, "", S_IFDIR | 0755, "", "");
    const uint64_t bin = add(0, "bin", S_IFDIR | 0755, "", "");
    add(bin, "program", S_IFREG | 0755, noise, "");
    const uint64_t etc = add(0, "etc", S_IFDIR | 0755, "", "");
    add(etc, "empty", S_IFREG | 0644, "", "");
    add(etc, "text", S_IFREG | 0600, "a line\n", "");
    add(etc, "zeros", S_IFREG | 0644, std::string(200000, '\0'), "");
    add(etc, "name with blanks \xc3\xa4", S_IFREG | 0644, "x", "");
    add(0, "link", S_IFLNK | 0777, "", "etc/text");
    const uint64_t many = add(0, "many", S_IFDIR | 0755, "", "");
    for (int i = 0; i < 500; ++i)
        add(many, "file-" + std::to_string(i), S_IFREG | 0644, "content of file " + std::to_string(i), "");
    // A second name of one file: entries are nodes of their own with the same inode and content.
    add(bin, "second", S_IFREG | 0755, noise, "");
    auto &first = t.nodes[2], &second = t.nodes.back();
    second.inode = first.inode;
    first.nlink = second.nlink = 2;
    return t;
}

std::map<std::string, uint64_t> MemoryTree::paths() const {
    std::map<std::string, uint64_t> out;
    const std::function<void(uint64_t, const std::string&)> add = [&](uint64_t n, const std::string& path) {
        out[path] = n;
        for (const auto& [name, child] : nodes[static_cast<size_t>(n)].children) add(child, path + "/" + name);
    };
    add(0, "");
    return out;
}

const sg_root_v1* MemoryTree::table() {
    static const sg_root_v1 t = {root,    stat_node, lookup,  list,   link_target, xattrs,
                                 nullptr, nullptr,   nullptr, totals, nullptr};
    return &t;
}

const sg_root_v1* MemoryTree::reader() {
    static const sg_root_v1 t = {root, stat_of_reader, lookup,    list,   link_target, xattrs,
                                 read, block,          placement, totals, nullptr};
    return &t;
}

}  // namespace conformance
