// A tarball as a root file system that is read at random: its headers are read once, the data stay where they are.
#pragma once
#include <map>
#include <singularity/format.hpp>

#include "archive.hpp"

namespace tarball {

// Immutable once made, so that any thread may read.
class TarRoot final : public singularity::Root {
public:
    // The descriptor stays the caller's and must live as long. `path` is for messages.
    TarRoot(int fd, std::string path);

    uint64_t root() override { return 0; }
    sg_attr stat(uint64_t node) override { return at(node).attr; }
    uint64_t lookup(uint64_t dir, std::string_view name) override;
    void list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) override;
    std::string link_target(uint64_t node) override { return at(node).link; }
    void xattrs(uint64_t node, sg_visit_xattr visit, void* arg) override;
    uint64_t read(uint64_t node, uint64_t offset, void* data, uint64_t capacity) override;
    singularity::Slice block(uint64_t node, uint64_t offset) override;
    void totals(uint64_t& bytes, uint64_t& inodes, uint32_t& block_size) override;

private:
    struct Node {
        sg_attr attr{};
        uint64_t offset = 0;  // of the data in the file
        std::string link;
        std::vector<std::pair<std::string, std::string>> xattrs;
        std::map<std::string, uint64_t, std::less<>> children;  // by bytes of the name
    };

    const Node& at(uint64_t node) const;
    uint64_t add_node(uint32_t mode);
    // The directory above `name`, made where the tarball does not list it; `last` is the name in it, "" for the root.
    uint64_t parent_of(const std::string& name, std::string& last);
    uint64_t find(const std::string& name) const;
    void place(uint64_t dir, const std::string& name, uint64_t node);
    void add(archive_entry* entry, uint64_t offset, uint64_t file_size);
    // Archives of images are tarballs as well, and not meant to be run as they are.
    void refuse_archives() const;

    int fd_;
    std::string path_;
    uint64_t total_ = 0;
    std::vector<Node> nodes_;
};

}  // namespace tarball
