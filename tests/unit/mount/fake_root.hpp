// A root file system in memory, with faults on demand.
#pragma once
#include <sys/stat.h>

#include <atomic>
#include <map>
#include <set>
#include <singularity/format.hpp>
#include <string>
#include <utility>
#include <vector>

namespace fake {

struct Node {
    sg_attr attr{};
    std::string data;  // of a file, or the target of a link
    std::map<std::string, uint64_t> children;
    std::map<std::string, std::string> xattrs;
    uint64_t shared = UINT64_MAX;  // its shared block
};

// Node numbers are 100, 101, ... in the order of making; the root is the first.
class Root : public singularity::Root {
public:
    Root() { make(S_IFDIR | 0755); }

    uint64_t make(uint32_t mode, std::string data = {}) {
        Node n;
        n.attr.mode = mode;
        n.attr.uid = 1000;
        n.attr.gid = 2000;
        n.attr.nlink = S_ISDIR(mode) ? 2 : 1;
        n.attr.mtime = 1234567;
        n.attr.inode = nodes.size() + 1;
        n.attr.size = S_ISDIR(mode) ? 0 : data.size();
        n.attr.content = SG_NO_CONTENT;
        n.data = std::move(data);
        nodes.push_back(std::move(n));
        return 99 + nodes.size();
    }
    uint64_t add(uint64_t dir, const std::string& name, uint32_t mode, std::string data = {}) {
        const uint64_t node = make(mode, std::move(data));
        at(dir).children[name] = node;
        if (S_ISDIR(mode)) ++at(dir).attr.nlink;
        return node;
    }
    Node& at(uint64_t node) {
        if (node < 100 || node - 100 >= nodes.size())
            throw singularity::Error(singularity::Code::not_found, "no such node");
        if (broken.count(node)) throw singularity::Error(singularity::Code::corrupt, "damaged");
        return nodes[node - 100];
    }

    uint64_t root() override { return 100; }
    sg_attr stat(uint64_t node) override { return at(node).attr; }
    uint64_t lookup(uint64_t dir, std::string_view name) override {
        const auto& c = at(dir).children;
        const auto i = c.find(std::string(name));
        return i == c.end() ? SG_NO_NODE : i->second;
    }
    void list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) override {
        uint64_t i = 0;
        if (!S_ISDIR(at(dir).attr.mode)) throw singularity::Error(singularity::Code::invalid, "no directory");
        for (const auto& [name, node] : at(dir).children)
            if (++i * cursor_step > cursor) {
                const uint32_t type = nodes[node - 100].attr.mode & S_IFMT;
                if (visit(arg, name.data(), name.size(), node, type, i * cursor_step)) return;
            }
    }
    std::string link_target(uint64_t node) override { return at(node).data; }
    void xattrs(uint64_t node, sg_visit_xattr visit, void* arg) override {
        for (const auto& [name, value] : at(node).xattrs)
            if (visit(arg, name.c_str(), value.data(), value.size())) return;
    }
    bool has_xattrs() override { return some_xattrs; }
    uint64_t read(uint64_t node, uint64_t offset, void* data, uint64_t capacity) override {
        ++reads;
        const auto& d = at(node).data;
        if (offset >= d.size()) return 0;
        const uint64_t n = std::min<uint64_t>(capacity, d.size() - offset);
        std::memcpy(data, d.data() + offset, n);
        return n;
    }
    singularity::Slice block(uint64_t node, uint64_t offset) override {
        const auto& d = at(node).data;
        sg_slice s{};
        s.data = reinterpret_cast<const uint8_t*>(d.data()) + offset;
        s.size = d.size() - offset;
        return singularity::Slice(s);
    }
    sg_placement placement(uint64_t node) override {
        const auto& n = at(node);
        return {n.shared, 0, n.data.size()};
    }
    void totals(uint64_t& bytes, uint64_t& inodes, uint32_t& block_size) override {
        bytes = 1000000;
        inodes = nodes.size();
        block_size = 131072;
    }

    const sg_root_v1* table() const { return singularity::detail::root_table(false); }
    sg_root* handle() { return reinterpret_cast<sg_root*>(&box_); }

    std::vector<Node> nodes;
    std::set<uint64_t> broken;  // give SG_ECORRUPT
    uint64_t cursor_step = 1;   // cursors are multiples of it
    bool some_xattrs = true;
    std::atomic<uint64_t> reads{0};

private:
    singularity::detail::RootBox box_{this};
};

}  // namespace fake
