// A directory as a root file system. Symbolic links are never followed, so nothing outside is ever read, whatever
// another process does to the directory meanwhile. Any thread.
//
// For an ordinary user, files of their own are shown as root's: see the README, "Owners".
//
// A node is the number of a name that was met once (look-up or listing); 64 bytes and the name are kept for each.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <singularity/format.hpp>
#include <unordered_map>

#include "sandbox/file.hpp"

namespace sandbox {

class DirectoryRoot final : public singularity::Root {
public:
    // Throws Code::not_found, permission.
    explicit DirectoryRoot(const std::string& path);

    uint64_t root() override { return 0; }
    sg_attr stat(uint64_t node) override;
    uint64_t lookup(uint64_t dir, std::string_view name) override;
    void list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) override;
    std::string link_target(uint64_t node) override;
    void xattrs(uint64_t node, sg_visit_xattr visit, void* arg) override;
    uint64_t read(uint64_t node, uint64_t offset, void* data, uint64_t capacity) override;
    singularity::Slice block(uint64_t node, uint64_t offset) override;
    void totals(uint64_t& bytes, uint64_t& inodes, uint32_t& block_size) override;

private:
    struct Node {
        uint64_t parent;
        std::string name;
    };
    struct OpenFile {
        uint64_t node;
        Fd fd;
        uint64_t size;
    };
    uint64_t node_of(uint64_t dir, std::string_view name);
    std::string relative(uint64_t node);  // throws Code::not_found for an unknown node
    std::string shown(const std::string& relative) const;
    Fd open(const std::string& relative, int flags);  // throws
    std::shared_ptr<const OpenFile> open_file(uint64_t node);
    uint64_t inode_number(uint64_t device, uint64_t inode);

    std::string path_;
    Fd root_;
    uint64_t device_ = 0;
    uint32_t own_uid_ = 0, own_gid_ = 0;  // shown as root's
    std::mutex mutex_;                    // guards what follows
    std::deque<Node> nodes_;
    std::map<std::pair<uint64_t, std::string_view>, uint64_t> by_name_;  // views into nodes_
    std::map<std::pair<uint64_t, uint64_t>, uint64_t> foreign_inodes_;   // of other devices mounted inside
    std::shared_ptr<const OpenFile> last_file_;
};

}  // namespace sandbox
