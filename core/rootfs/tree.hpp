// The root file system of an image being made, in memory: names, attributes and content ids, no bytes.
//
// About 130 bytes and the name per entry. A *node* is one name; a *file* holds the attributes that all
// names of a hard link group share. Order, numbers and everything a writer sees follow from the calls
// alone. Not thread-safe while it is changed; `table` may be used by several threads.
#pragma once
#include <singularity/format.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rootfs/arena.hpp"

namespace sg {

class Tree {
public:
    Tree();  // a root directory, 0755 root:root, time 0
    Tree(Tree&&) noexcept;
    Tree& operator=(Tree&&) noexcept;
    ~Tree();

    // ---- For a writer -------------------------------------------------------------------------

    // For sg_writer_v1.finish: root, stat, lookup, list (byte order), link_target, xattrs, totals; the
    // other slots are NULL.
    static const sg_root_v1* table();
    // Puts the tree in order (link counts, sorted names). Valid until the tree is changed or moved.
    sg_root* handle();
    singularity::ForeignRoot view() { return {table(), handle()}; }

    // ---- Edits by path, for metadata ----------------------------------------------------------
    // Paths are from the image's root, with or without "/" in front; "." and ".." are understood. Symbolic
    // links on the way are followed inside the root, as in a chroot: nothing leads out of it. Code::invalid
    // for a path that names the root where a file is due, Code::corrupt for a loop of links.

    // What stands there; the last component is not followed.
    std::optional<sg_attr> find(std::string_view path) const;
    // The same with the last component followed; nothing when the link dangles.
    std::optional<sg_attr> find_following(std::string_view path) const;
    // Target of the symbolic link at `path`; nothing when there is none.
    std::optional<std::string> link_target(std::string_view path) const;
    // Names in a directory (followed), sorted; empty when there is none.
    std::vector<std::string> names(std::string_view path) const;

    // Missing parents are made, 0755 root:root and of the same time; a parent that is neither a directory
    // nor a link is replaced by a directory.
    // Keeps what is there when it is a directory or a symbolic link, else replaces it.
    void put_directory(std::string_view path, uint32_t permissions, int64_t mtime);
    // Replaces what is there; `content` is what the writer gave for the bytes (SG_NO_CONTENT: size 0).
    void put_file(std::string_view path, uint32_t permissions, int64_t mtime, uint64_t size, uint64_t content);
    void put_symlink(std::string_view path, std::string_view target, int64_t mtime);
    // Another name of what stands at `first`, which is no directory. Code::invalid when nothing does.
    void put_link(std::string_view path, std::string_view first);
    // Owner, and permissions but of a link, of what stands there (not followed); nothing where nothing does.
    void give(std::string_view path, uint32_t permissions, uint32_t uid, uint32_t gid);
    // Removes the name and all below it; the last component is not followed. False: there was none.
    bool remove(std::string_view path);

    // ---- Nodes and files, for those who fill it (merge, copy) ---------------------------------

    using Node = uint32_t;
    using File = uint32_t;
    static constexpr uint32_t none = UINT32_MAX;

    struct Inode {
        uint32_t mode = 0, uid = 0, gid = 0;
        uint32_t xattrs = 0;  // number of a set (intern_xattrs); 0: none
        int64_t mtime = 0;
        uint64_t size = 0;
        uint64_t content = SG_NO_CONTENT;
        uint32_t major = 0, minor = 0;
        const char* target = nullptr;  // of a symbolic link, `size` bytes in `text`
        uint32_t nlink = 0;            // set by handle()
        File same_as = none;           // this file turned out to be that one
    };

    static constexpr Node root = 0;
    // The node of a name, there or not; `none` when the name was never used.
    Node child(Node dir, std::string_view name) const;
    // The same, made (absent) when it was never used. Names are not checked here.
    Node make_child(Node dir, std::string_view name);
    bool present(Node n) const { return nodes_[n].file != none; }
    Node parent(Node n) const { return nodes_[n].parent; }  // the root's is the root
    std::string_view name(Node n) const { return {nodes_[n].name, nodes_[n].length}; }
    std::string path(Node n) const;  // "etc/passwd", "" for the root
    File file(Node n) const { return nodes_[n].file == none ? none : resolve(nodes_[n].file); }
    bool is_directory(Node n) const;

    File add_file(const Inode& inode);
    Inode& inode(File f) { return inodes_[resolve(f)]; }
    const Inode& inode(File f) const { return inodes_[resolve(f)]; }
    void unite(File f, File with);        // both are one file from now on: `with`
    void part(File f) { inodes_[f].same_as = none; }  // takes unite(f, ...) back
    void place(Node n, File f);           // the name is there now (a former file is let go; children stay)
    void clear(Node n);                   // the name is no longer there; children stay
    void clear_below(Node n);             // nothing below it is there any more
    uint64_t node_count() const { return nodes_.size(); }
    // All children ever named, newest first; false ends the walk.
    template <class F>
    void each_child(Node dir, F&& visit) const {
        for (Node c = nodes_[dir].first; c != none; c = nodes_[c].next)
            if (!visit(c)) return;
    }

    const char* text(std::string_view s);  // a copy that lives as long as the tree
    using Xattrs = std::vector<std::pair<std::string, std::string>>;
    uint32_t intern_xattrs(Xattrs& set);  // sorts it, the last of equal names wins; equal sets get one number
    void each_xattr(uint32_t set, sg_visit_xattr visit, void* arg) const;

private:
    struct Entry {
        const char* name = nullptr;
        Node parent = none, first = none, next = none;
        File file = none;
        uint16_t length = 0;
        bool linked = false;  // it is in its directory's list
        bool sorted = true;   // its own list is in order
    };
    struct Slot {
        uint32_t hash = 0;
        Node node = none;
    };
    struct Sets;
    struct Calls;

    File resolve(File f) const {
        while (inodes_[f].same_as != none) f = inodes_[f].same_as;
        return f;
    }
    sg_attr attributes(Node n) const;
    uint32_t hash(Node dir, std::string_view name) const;
    void grow();
    void link(Node n);
    void order();
    void sort_children(Node dir);
    struct Walk;
    Node walk(std::string_view path, bool follow_last) const;
    Node make_way(std::string_view path, int64_t mtime, std::string& last);
    Node enter(Node at, int64_t mtime);

    Arena<Entry> nodes_;
    Arena<Inode> inodes_;
    TextArena texts_;
    std::vector<Slot> slots_;
    uint64_t used_ = 0;
    uint64_t key_[2];
    std::unique_ptr<Sets> sets_;
    bool ordered_ = false;
    uint64_t total_bytes_ = 0, total_inodes_ = 0;
};

// Whether an extended attribute of this name goes into an image: not those
// of overlay file systems, SELinux labels of the build machine and rootless records.
bool is_kept_xattr(std::string_view name);

}  // namespace sg
