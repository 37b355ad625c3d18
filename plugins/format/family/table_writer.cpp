// SPDX-License-Identifier: BSD-3-Clause
#include <endian.h>
#include <sqfs/dir.h>
#include <sqfs/dir_writer.h>
#include <sqfs/error.h>
#include <sqfs/inode.h>
#include <sqfs/meta_writer.h>
#include <sqfs/super.h>
#include <sqfs/table.h>
#include <sqfs/xattr.h>
#include <sqfs/xattr_writer.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <family/hot_files.hpp>
#include <family/table_writer.hpp>

namespace squashfs {

using singularity::Code;
using singularity::Error;
using singularity::ForeignRoot;
using singularity::Host;

namespace {

constexpr uint32_t no_xattr = UINT32_MAX;
constexpr size_t longest_name = 255, longest_target = 4095, largest_xattr = 65536;

struct FreeInode {
    void operator()(sqfs_inode_generic_t* i) const { sqfs_free(i); }
};

// Tables that are small beside the data (64 bytes per inode in 64 parts of it) are stored raw: a start reads a few of
// their blocks here and there. At most 1 % of size.
bool raw_tables(const OutputFile& out, const TableInput& input, const ForeignRoot& tree) {
    uint64_t bytes = 0, inodes = 0;
    uint32_t block_size = 0;
    tree.table()->totals(tree.handle(), &bytes, &inodes, &block_size);
    return std::max<uint64_t>(inodes, input.files.size()) <= out.end() / 64 / 64;
}

class TableWriter {
public:
    TableWriter(OutputFile& out, sqfs_compressor_t& compressor, const TableInput& input, const ForeignRoot& tree,
                const Host& host, WriterStats& stats)
        : out_(out),
          storing_(raw_tables(out, input, tree) ? make_storing() : nullptr),
          compressor_(storing_ ? *storing_ : compressor),
          input_(input),
          tree_(tree),
          host_(host),
          stats_(stats) {}

    uint64_t write();

private:
    struct Directory {
        uint64_t node;
        uint64_t first = 0;  // of its entries
        uint64_t ref = 0;
        uint32_t count = 0, subdirectories = 0;
        uint32_t number, parent;
        uint32_t xattr = no_xattr;
        uint32_t mtime;
        uint16_t mode, uid, gid;
        bool met_at_start = false;
    };
    // What the second pass needs of a name; `ref` is the index of a Directory for one.
    struct Entry {
        uint64_t ref;
        uint32_t number;
        uint32_t type;
    };
    struct Written {
        uint64_t ref;
        uint32_t number;
    };
    // What is written behind all that no start meets.
    struct Postponed {
        uint64_t node;
        size_t entry;
        std::string name;
    };

    [[noreturn]] void refuse(std::string_view name, const std::string& why, Code code = Code::limit) const {
        throw Error(code, "cannot store '" + std::string(name) + "' in squashfs: " + why);
    }
    template <class F>
    void list(uint64_t node, F&& visit);
    void collect();
    void collect_entry(uint32_t directory, std::string_view name, uint64_t node);
    uint64_t write_leaf(std::string_view name, uint64_t node, const sg_attr& attr, uint32_t number);
    void write_postponed();
    void write_directories(bool met_at_start);
    void write_directory(Directory& d);
    void check_name(std::string_view name, std::string_view before) const;
    uint32_t next_number();
    uint16_t id_index(uint32_t id, std::string_view name);
    uint32_t xattrs(uint64_t node, std::string_view name);
    uint64_t write_inode(const sqfs_inode_generic_t& inode, uint32_t number);
    uint64_t write_other(std::string_view name, uint64_t node, const sg_attr& attr, uint32_t number);
    sqfs_inode_generic_t& scratch(size_t extra_bytes);
    uint64_t position(uint32_t number);  // of the inode that is written next
    uint64_t write_file(std::string_view name, uint64_t node, const sg_attr& attr, uint32_t number);
    uint64_t table(const void* data, size_t size, const char* doing);

    OutputFile& out_;
    const CompressorPtr storing_;
    sqfs_compressor_t& compressor_;
    const TableInput& input_;
    const ForeignRoot& tree_;
    const Host& host_;
    WriterStats& stats_;

    SqfsPtr<sqfs_meta_writer_t> inodes_, directories_;
    SqfsPtr<sqfs_dir_writer_t> names_;
    SqfsPtr<sqfs_xattr_writer_t> xattrs_;
    std::vector<Directory> dirs_;
    std::vector<uint32_t> order_;  // as they were visited: parents before children
    std::vector<Entry> entries_;
    std::vector<uint64_t> refs_;  // by inode number - 1: the export table
    std::vector<Postponed> postponed_;
    std::unordered_map<uint32_t, std::string> paths_;  // of directories that a start meets, with a '/' behind, by index
    std::unordered_map<uint64_t, Written> links_;
    std::unordered_map<uint32_t, uint16_t> id_indexes_;
    std::vector<uint32_t> ids_;
    std::vector<uint64_t> scratch_;
    std::vector<uint8_t> record_;
    bool reported_xattr_ = false;
};

template <class F>
void TableWriter::list(uint64_t node, F&& visit) {
    struct Arg {
        F& visit;
        std::exception_ptr failure;
    } arg{visit, nullptr};
    singularity::check([&](sg_error* e) {
        return tree_.table()->list(
            tree_.handle(), node, 0,
            [](void* a, const char* name, uint64_t length, uint64_t child, uint32_t, uint64_t) -> int32_t {
                auto& self = *static_cast<Arg*>(a);
                try {
                    self.visit(std::string_view(name, static_cast<size_t>(length)), child);
                    return 0;
                } catch (...) {
                    self.failure = std::current_exception();
                    return 1;
                }
            },
            &arg, e);
    });
    if (arg.failure) std::rethrow_exception(arg.failure);
}

void TableWriter::check_name(std::string_view name, std::string_view before) const {
    if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos || name.find('\0') != name.npos)
        refuse(name, "this is no name of a file", Code::invalid);
    if (name.size() > longest_name)
        refuse(name, "the name has " + std::to_string(name.size()) + " bytes, the most is 255");
    if (!before.empty() && !(before < name))
        refuse(name, "the tree lists it after '" + std::string(before) + "'", Code::internal);
}

uint32_t TableWriter::next_number() {
    if (refs_.size() == UINT32_MAX) throw Error(Code::limit, "the tree has more inodes than squashfs can number");
    refs_.push_back(0);
    return static_cast<uint32_t>(refs_.size());
}

uint16_t TableWriter::id_index(uint32_t id, std::string_view name) {
    const auto [at, is_new] = id_indexes_.try_emplace(id, static_cast<uint16_t>(ids_.size()));
    if (is_new) {
        if (ids_.size() == UINT16_MAX) refuse(name, "the tree has more than 65,535 different owners and groups");
        ids_.push_back(htole32(id));
    }
    return at->second;
}

uint32_t TableWriter::xattrs(uint64_t node, std::string_view name) {
    if (!tree_.table()->xattrs) return no_xattr;
    struct Arg {
        TableWriter& self;
        std::string_view name;
        bool begun = false;
        std::exception_ptr failure;
    } arg{*this, name, false, nullptr};
    singularity::check([&](sg_error* e) {
        return tree_.table()->xattrs(
            tree_.handle(), node,
            [](void* a, const char* key, const void* value, uint64_t size) -> int32_t {
                auto& arg = *static_cast<Arg*>(a);
                auto& self = arg.self;
                try {
                    const char* dot = std::strchr(key, '.');
                    if (sqfs_get_xattr_prefix_id(key) < 0 || !dot || dot[1] == '\0') {
                        ++self.stats_.xattrs_dropped;
                        if (!std::exchange(self.reported_xattr_, true))
                            self.host_.debug("squashfs has no place for extended attributes such as " +
                                             std::string(key) + " of '" + std::string(arg.name) + "': left out");
                        return 0;
                    }
                    if (size > largest_xattr)
                        self.refuse(arg.name, "its extended attribute " + std::string(key) + " has " +
                                                  std::to_string(size) + " bytes, the most is 65,536");
                    if (std::strlen(key) > longest_name)
                        self.refuse(arg.name, "the name of one of its extended attributes is longer than 255 bytes");
                    if (!std::exchange(arg.begun, true))
                        check_sqfs(sqfs_xattr_writer_begin(self.xattrs_.get(), 0), "write the extended attributes");
                    check_sqfs(sqfs_xattr_writer_add(self.xattrs_.get(), key, value, static_cast<size_t>(size)),
                               "write the extended attributes");
                    return 0;
                } catch (...) {
                    arg.failure = std::current_exception();
                    return 1;
                }
            },
            &arg, e);
    });
    if (arg.failure) std::rethrow_exception(arg.failure);
    if (!arg.begun) return no_xattr;
    uint32_t index = no_xattr;
    check_sqfs(sqfs_xattr_writer_end(xattrs_.get(), &index), "write the extended attributes");
    return index;
}

sqfs_inode_generic_t& TableWriter::scratch(size_t extra_bytes) {
    const size_t words = (sizeof(sqfs_inode_generic_t) + extra_bytes + 7) / 8 + 1;
    if (scratch_.size() < words) scratch_.resize(words);
    std::memset(scratch_.data(), 0, sizeof(sqfs_inode_generic_t));
    auto& inode = *reinterpret_cast<sqfs_inode_generic_t*>(scratch_.data());
    inode.payload_bytes_available = static_cast<uint32_t>(extra_bytes);
    inode.payload_bytes_used = static_cast<uint32_t>(extra_bytes);
    return inode;
}

uint64_t TableWriter::position(uint32_t number) {
    uint64_t block = 0;
    uint32_t offset = 0;
    sqfs_meta_writer_get_position(inodes_.get(), &block, &offset);
    if (block > UINT32_MAX) throw Error(Code::limit, "the tree's inodes need more room than squashfs has");
    return refs_[number - 1] = block << 16 | offset;
}

uint64_t TableWriter::write_inode(const sqfs_inode_generic_t& inode, uint32_t number) {
    const uint64_t ref = position(number);
    out_.check(sqfs_meta_writer_write_inode(inodes_.get(), &inode), "write the inode table");
    return ref;
}

// By hand: sqfs_meta_writer_write_inode keeps all block sizes on the stack, which a file of 300 GB overflows.
uint64_t TableWriter::write_file(std::string_view name, uint64_t node, const sg_attr& attr, uint32_t number) {
    static const FileData nothing;
    if (attr.content == SG_NO_CONTENT && attr.size != 0)
        refuse(name, "the tree gives it " + std::to_string(attr.size) + " bytes but no content", Code::internal);
    if (attr.content != SG_NO_CONTENT && attr.content >= input_.files.size())
        refuse(name, "the tree names a content that was never stored", Code::internal);
    const FileData& file = attr.content == SG_NO_CONTENT ? nothing : input_.files[static_cast<size_t>(attr.content)];
    if (attr.size != file.size)
        refuse(
            name,
            "the tree gives it " + std::to_string(attr.size) + " bytes, its content has " + std::to_string(file.size),
            Code::internal);
    const uint64_t in_blocks =
        file.fragment == no_fragment ? file.size : file.size - file.size % input_.options.block_size;
    const uint64_t start = file.holes < in_blocks ? input_.pipeline.data_start() + file.start : 0;
    const uint32_t links = std::max(1u, attr.nlink), xattr = xattrs(node, name);

    std::vector<uint8_t>& out = record_;
    out.clear();
    const auto put = [&](auto value) {
        for (size_t i = 0; i < sizeof value; ++i) out.push_back(static_cast<uint8_t>(value >> 8 * i));
    };
    const bool basic =
        file.size <= UINT32_MAX && start <= UINT32_MAX && links == 1 && xattr == no_xattr && file.holes == 0;
    put(static_cast<uint16_t>(basic ? SQFS_INODE_FILE : SQFS_INODE_EXT_FILE));
    put(static_cast<uint16_t>(attr.mode & 07777));
    put(id_index(attr.uid, name));
    put(id_index(attr.gid, name));
    put(clamp_time(attr.mtime));
    put(number);
    if (basic) {
        put(static_cast<uint32_t>(start));
        put(file.fragment);
        put(file.offset);
        put(static_cast<uint32_t>(file.size));
    } else {
        put(start);
        put(file.size);
        put(file.holes);
        put(links);
        put(file.fragment);
        put(file.offset);
        put(xattr);
    }
    const uint64_t ref = position(number);
    out_.check(sqfs_meta_writer_append(inodes_.get(), out.data(), out.size()), "write the inode table");
    for (uint32_t i = 0; i < file.blocks;) {
        out.clear();
        for (const uint32_t end = std::min(file.blocks, i + 4096); i < end; ++i) put(file.sizes[i]);
        out_.check(sqfs_meta_writer_append(inodes_.get(), out.data(), out.size()), "write the inode table");
    }
    return ref;
}

uint64_t TableWriter::write_other(std::string_view name, uint64_t node, const sg_attr& attr, uint32_t number) {
    size_t extra = 0;
    std::string target;
    const uint32_t type = attr.mode & S_IFMT;
    if (type == S_IFLNK) {
        target = tree_.link_target(node);
        if (target.empty() || target.size() > longest_target)
            refuse(name, "the target of the symbolic link has " + std::to_string(target.size()) +
                             " bytes, 1 to 4,095 are possible");
        extra = target.size();
    }
    sqfs_inode_generic_t& inode = scratch(extra);
    const uint32_t links = std::max(1u, attr.nlink);
    switch (type) {
        case S_IFLNK:
            inode.base.type = SQFS_INODE_SLINK;
            inode.data.slink.nlink = links;
            inode.data.slink.target_size = static_cast<uint32_t>(target.size());
            std::memcpy(inode.extra, target.data(), target.size());
            break;
        case S_IFCHR:
        case S_IFBLK:
            if (attr.major > 0xfff || attr.minor > 0xfffff)
                refuse(name, "the device number " + std::to_string(attr.major) + ":" + std::to_string(attr.minor) +
                                 " is too large");
            inode.base.type = type == S_IFCHR ? SQFS_INODE_CDEV : SQFS_INODE_BDEV;
            inode.data.dev.nlink = links;
            inode.data.dev.devno = (attr.minor & 0xff) | attr.major << 8 | (attr.minor & ~0xffu) << 12;
            break;
        case S_IFIFO:
        case S_IFSOCK:
            inode.base.type = type == S_IFIFO ? SQFS_INODE_FIFO : SQFS_INODE_SOCKET;
            inode.data.ipc.nlink = links;
            break;
        default: refuse(name, "its type is unknown", Code::invalid);
    }
    inode.base.mode = static_cast<uint16_t>(attr.mode & 07777);
    inode.base.uid_idx = id_index(attr.uid, name);
    inode.base.gid_idx = id_index(attr.gid, name);
    inode.base.mod_time = clamp_time(attr.mtime);
    inode.base.inode_number = number;
    const uint32_t xattr = xattrs(node, name);
    if (xattr != no_xattr) check_sqfs(sqfs_inode_set_xattr_index(&inode, xattr), "write the inode table");
    return write_inode(inode, number);
}

uint64_t TableWriter::write_leaf(std::string_view name, uint64_t node, const sg_attr& attr, uint32_t number) {
    return (attr.mode & S_IFMT) == S_IFREG ? write_file(name, node, attr, number)
                                           : write_other(name, node, attr, number);
}

void TableWriter::collect_entry(uint32_t directory, std::string_view name, uint64_t node) {
    const sg_attr attr = tree_.stat(node);
    const uint32_t type = attr.mode & S_IFMT;
    Directory& parent = dirs_[directory];
    ++parent.count;
    std::string path;
    if (parent.met_at_start) path.append(paths_.at(directory)).append(name);
    if (type == S_IFDIR) {
        ++parent.subdirectories;
        const uint32_t number = next_number();
        Directory d{};
        d.node = node;
        d.number = number;
        d.parent = parent.number;
        d.mode = static_cast<uint16_t>(attr.mode & 07777);
        d.mtime = clamp_time(attr.mtime);
        d.uid = id_index(attr.uid, name);
        d.gid = id_index(attr.gid, name);
        d.xattr = xattrs(node, name);
        d.met_at_start = parent.met_at_start && met_at_start(path);
        if (d.met_at_start) paths_.emplace(static_cast<uint32_t>(dirs_.size()), std::move(path) + '/');
        entries_.push_back({dirs_.size(), number, S_IFDIR});
        dirs_.push_back(d);
        return;
    }
    if (attr.nlink > 1) {
        const auto found = links_.find(attr.inode);
        if (found != links_.end()) {
            entries_.push_back({found->second.ref, found->second.number, type});
            return;
        }
    }
    const uint32_t number = next_number();
    if (attr.nlink <= 1 && parent.met_at_start && met_at_start(path)) {
        postponed_.push_back({node, entries_.size(), std::string(name)});
        entries_.push_back({0, number, type});
        return;
    }
    const uint64_t ref = write_leaf(name, node, attr, number);
    if (attr.nlink > 1) links_.emplace(attr.inode, Written{ref, number});
    entries_.push_back({ref, number, type});
}

void TableWriter::write_postponed() {
    for (const Postponed& p : postponed_) {
        Entry& e = entries_[p.entry];
        e.ref = write_leaf(p.name, p.node, tree_.stat(p.node), e.number);
    }
}

// First pass: numbers for all, inodes of everything but directories and what a start meets.
void TableWriter::collect() {
    const uint64_t root = tree_.root();
    const sg_attr attr = tree_.stat(root);
    if ((attr.mode & S_IFMT) != S_IFDIR) refuse("/", "the root is no directory", Code::invalid);
    Directory top{};
    top.node = root;
    top.number = next_number();
    top.mode = static_cast<uint16_t>(attr.mode & 07777);
    top.mtime = clamp_time(attr.mtime);
    top.uid = id_index(attr.uid, "/");
    top.gid = id_index(attr.gid, "/");
    top.xattr = xattrs(root, "/");
    top.met_at_start = true;
    paths_.emplace(0, "");
    dirs_.push_back(top);

    std::vector<uint32_t> open{0};
    std::string before;
    while (!open.empty()) {
        host_.poll();
        const uint32_t index = open.back();
        open.pop_back();
        order_.push_back(index);
        dirs_[index].first = entries_.size();
        const size_t children = dirs_.size();
        before.clear();
        list(dirs_[index].node, [&](std::string_view name, uint64_t node) {
            check_name(name, before);
            collect_entry(index, name, node);
            before.assign(name);
        });
        for (size_t i = dirs_.size(); i-- > children;) open.push_back(static_cast<uint32_t>(i));
    }
}

void TableWriter::write_directory(Directory& d) {
    check_sqfs(sqfs_dir_writer_begin(names_.get(), 0), "write a directory");
    uint64_t next = d.first;
    std::string text;
    list(d.node, [&](std::string_view name, uint64_t) {
        if (next == d.first + d.count) refuse(name, "the tree changed while it was written", Code::internal);
        const Entry& e = entries_[static_cast<size_t>(next++)];
        const uint64_t ref = e.type == S_IFDIR ? dirs_[static_cast<size_t>(e.ref)].ref : e.ref;
        text.assign(name);
        check_sqfs(sqfs_dir_writer_add_entry(names_.get(), text.c_str(), e.number, ref, static_cast<sqfs_u16>(e.type)),
                   "write a directory");
    });
    if (next != d.first + d.count) throw Error(Code::internal, "the tree changed while it was written");
    check_sqfs(sqfs_dir_writer_end(names_.get()), "write a directory");
    const size_t listing = sqfs_dir_writer_get_size(names_.get());
    if (listing > UINT32_MAX - 3 || (sqfs_dir_writer_get_dir_reference(names_.get()) >> 16) > UINT32_MAX)
        throw Error(Code::limit, "the tree's directories need more room than squashfs has");

    const uint32_t parent = d.parent != 0 ? d.parent : static_cast<uint32_t>(refs_.size() + 1);
    std::unique_ptr<sqfs_inode_generic_t, FreeInode> made(
        sqfs_dir_writer_create_inode(names_.get(), 0, d.xattr, parent));
    if (!made) throw std::bad_alloc();
    made->base.mode = d.mode;
    made->base.uid_idx = d.uid;
    made->base.gid_idx = d.gid;
    made->base.mod_time = d.mtime;
    made->base.inode_number = d.number;
    const uint32_t links = 2 + d.subdirectories;
    // The stored size is 3 more than the listing; a basic inode has 16 bits for it.
    if (made->base.type == SQFS_INODE_DIR && listing + 3 > UINT16_MAX) {
        check_sqfs(sqfs_inode_make_extended(made.get()), "write a directory");
        made->data.dir_ext.xattr_idx = no_xattr;
    }
    if (made->base.type == SQFS_INODE_DIR) {
        made->data.dir.nlink = links;
    } else {
        made->data.dir_ext.nlink = links;
        // The index is a help for look-ups, counted in 16 bits: without it they read from the start.
        if (sqfs_dir_writer_get_index_size(names_.get()) / sizeof(sqfs_dir_index_t) > UINT16_MAX) {
            made->data.dir_ext.inodex_count = 0;
            made->payload_bytes_used = 0;
        }
    }
    d.ref = write_inode(*made, d.number);
}

void TableWriter::write_directories(bool met_at_start) {
    for (auto i = order_.rbegin(); i != order_.rend(); ++i) {
        if (dirs_[*i].met_at_start != met_at_start) continue;
        host_.poll();
        write_directory(dirs_[*i]);
    }
}

uint64_t TableWriter::table(const void* data, size_t size, const char* doing) {
    sqfs_u64 start = 0;
    out_.check(sqfs_write_table(out_.sqfs(), &compressor_, data, size, &start), doing);
    return start;
}

uint64_t TableWriter::write() {
    sqfs_super_t super;
    check_sqfs(sqfs_super_init(&super, input_.options.block_size, input_.options.mtime,
                               static_cast<SQFS_COMPRESSOR>(input_.options.compressor)),
               "write the super block");
    inodes_.reset(sqfs_meta_writer_create(out_.sqfs(), &compressor_, 0));
    directories_.reset(sqfs_meta_writer_create(out_.sqfs(), &compressor_, SQFS_META_WRITER_KEEP_IN_MEMORY));
    xattrs_.reset(sqfs_xattr_writer_create(0));
    if (directories_) names_.reset(sqfs_dir_writer_create(directories_.get(), 0));
    if (!inodes_ || !names_ || !xattrs_) throw std::bad_alloc();

    super.inode_table_start = out_.end();
    collect();
    write_directories(false);
    write_postponed();
    write_directories(true);
    out_.check(sqfs_meta_writer_flush(inodes_.get()), "write the inode table");

    super.directory_table_start = out_.end();
    out_.check(sqfs_meta_writer_flush(directories_.get()), "write the directory table");
    out_.check(sqfs_meta_write_write_to_file(directories_.get()), "write the directory table");

    const auto& fragments = input_.pipeline.fragments();
    super.fragment_entry_count = static_cast<uint32_t>(fragments.size());
    super.fragment_table_start = UINT64_MAX;
    if (!fragments.empty()) {
        struct Stored {
            uint64_t start;
            uint32_t size, unused;
        };
        std::vector<Stored> stored;
        stored.reserve(fragments.size());
        for (const auto& f : fragments)
            stored.push_back({htole64(input_.pipeline.data_start() + f.start), htole32(f.size), 0});
        super.fragment_table_start = table(stored.data(), stored.size() * sizeof(Stored), "write the fragment table");
    }
    super.root_inode_ref = refs_[0];
    super.inode_count = static_cast<uint32_t>(refs_.size());
    for (auto& r : refs_) r = htole64(r);
    super.export_table_start = table(refs_.data(), refs_.size() * sizeof(uint64_t), "write the export table");
    super.id_count = static_cast<uint16_t>(ids_.size());
    super.id_table_start = table(ids_.data(), ids_.size() * sizeof(uint32_t), "write the table of owners");
    // libsquashfs calls bit 6 NO_DUPLICATES; mksquashfs sets it when duplicates were looked for and removed.
    super.flags = SQFS_FLAG_EXPORTABLE | SQFS_FLAG_NO_DUPLICATES;
    super.flags |= fragments.empty() ? SQFS_FLAG_NO_FRAGMENTS : SQFS_FLAG_ALWAYS_FRAGMENTS;
    if (storing_) super.flags |= SQFS_FLAG_UNCOMPRESSED_INODES | SQFS_FLAG_UNCOMPRESSED_IDS;
    if (input_.has_options) super.flags |= SQFS_FLAG_COMPRESSOR_OPTIONS;
    super.xattr_id_table_start = UINT64_MAX;
    out_.check(sqfs_xattr_writer_flush(xattrs_.get(), out_.sqfs(), &super, &compressor_),
               "write the extended attributes");
    if (super.xattr_id_table_start == UINT64_MAX) super.flags |= SQFS_FLAG_NO_XATTRS;
    super.bytes_used = out_.end();
    const uint64_t used = out_.end();
    out_.flush();
    out_.check(sqfs_super_write(&super, out_.sqfs()), "write the super block");
    return used;
}

}  // namespace

uint64_t write_tables(OutputFile& out, sqfs_compressor_t& compressor, const TableInput& input, const ForeignRoot& tree,
                      const Host& host, WriterStats& stats) {
    return TableWriter(out, compressor, input, tree, host, stats).write();
}

}  // namespace squashfs
