// SPDX-License-Identifier: BSD-3-Clause
#include <sys/stat.h>

#include <algorithm>
#include <family/directory.hpp>
#include <family/squashfs_reader.hpp>

namespace squashfs {

using singularity::Code;
using singularity::Error;
using singularity::Slice;

namespace {

constexpr uint64_t none = UINT64_MAX;
constexpr uint32_t no_fragment = UINT32_MAX, no_xattr = UINT32_MAX;
constexpr uint32_t raw_flag = 1u << 24;
constexpr size_t data_cache = size_t{48} << 20;
constexpr uint64_t sizes_per_step = metadata_size / sizeof(uint32_t);  // of a block list: one metadata block
constexpr uint64_t largest_xattr = uint64_t{1} << 20, all_xattrs = uint64_t{16} << 20;
constexpr uint32_t longest_target = 65535;

// An inode as stored; `rest` stands behind its fixed part: block sizes or a link's target.
struct Inode {
    uint16_t type = 0;  // 1 to 7, extended ones included
    uint16_t mode = 0, uid = 0, gid = 0;
    uint32_t mtime = 0, number = 0, nlink = 1;
    uint64_t size = 0;   // of a file or target; of a directory's listing
    uint64_t start = 0;  // of data; of a directory: its reference
    uint32_t fragment = no_fragment, fragment_offset = 0, device = 0, xattr = no_xattr;
    MetaCursor rest;
};

constexpr uint32_t type_bits[8] = {0, S_IFDIR, S_IFREG, S_IFLNK, S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK};

// Where block lists of large files stand every `sizes_per_step` blocks, so that a read far inside does not
// add up all sizes before it.
class BlockSteps {
public:
    struct Step {
        MetaCursor::Position list;
        uint64_t data = 0;
    };
    // The last known step at or before `step`.
    std::pair<uint64_t, Step> find(uint64_t node, uint64_t step) {
        std::lock_guard lock(mutex_);
        const auto at = files_.find(node);
        if (at == files_.end()) return {0, {}};
        const uint64_t known = std::min<uint64_t>(step, at->second.size());
        return known == 0 ? std::pair<uint64_t, Step>{0, {}} : std::pair<uint64_t, Step>{known, at->second[known - 1]};
    }
    void add(uint64_t node, uint64_t step, const Step& s) {
        std::lock_guard lock(mutex_);
        if (files_.size() >= most_files && !files_.contains(node)) files_.clear();
        auto& steps = files_[node];
        if (steps.size() + 1 == step) steps.push_back(s);
    }

private:
    static constexpr size_t most_files = 1024;
    std::mutex mutex_;
    std::unordered_map<uint64_t, std::vector<Step>> files_;
};

class Reader final : public singularity::StoredRoot {
public:
    explicit Reader(const ImageView& whole)
        : super_(read_super_block(whole)),
          image_{whole.fd, whole.base, super_.bytes_used, whole.source},
          decompressors_(super_.compressor, super_.block_size),
          metadata_(image_, decompressors_),
          blocks_(super_.block_size, data_cache),
          family_("squashfs " + compressor_name(super_.compressor) + " " + std::to_string(super_.block_size)) {
        read_ids();
        read_xattr_head();
    }

    uint64_t root() override { return super_.root; }
    sg_attr stat(uint64_t node) override;
    uint64_t lookup(uint64_t dir, std::string_view name) override;
    void list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) override;
    std::string link_target(uint64_t node) override;
    void xattrs(uint64_t node, sg_visit_xattr visit, void* arg) override;
    bool has_xattrs() override { return super_.xattr_table != none; }
    uint64_t read(uint64_t node, uint64_t offset, void* data, uint64_t capacity) override;
    Slice block(uint64_t node, uint64_t offset) override;
    sg_placement placement(uint64_t node) override;
    void totals(uint64_t& bytes, uint64_t& inodes, uint32_t& block_size) override {
        bytes = super_.bytes_used;
        inodes = super_.inodes;
        block_size = super_.block_size;
    }
    const char* family() override { return family_.c_str(); }
    int fd() override { return image_.fd; }
    uint64_t blocks(uint64_t node, sg_stored_block* out, uint64_t capacity, sg_stored_block& shared,
                    uint64_t& shared_offset) override;

private:
    struct Stored {
        uint64_t offset;
        uint32_t size;  // 0: a hole
        bool raw;
        uint32_t key() const { return size | (raw ? raw_flag : 0); }
    };
    // Goes over the block sizes of a file from some block on.
    class BlockList {
    public:
        BlockList(Reader& reader, uint64_t node, const Inode& inode, uint64_t first);
        Stored next();

    private:
        Reader& reader_;
        MetaCursor list_;
        uint64_t data_;
    };

    void read_ids();
    void read_xattr_head();
    Inode inode(uint64_t node);
    Inode file(uint64_t node);
    std::shared_ptr<const Directory> directory(uint64_t node);
    uint64_t block_count(const Inode& i) const {
        return i.fragment != no_fragment ? i.size / super_.block_size
                                         : (i.size + super_.block_size - 1) / super_.block_size;
    }
    Stored described(uint64_t offset, uint32_t size) const;
    Stored fragment(const Inode& i);
    BlockCache::Ref cached(const Stored& s, const char* what);
    void read_part(const Stored& s, uint32_t length, uint64_t skip, uint8_t* out, uint64_t n);
    Stored tail_of(const Inode& i);
    void decompress(const Stored& s, uint8_t* out, uint32_t expected);
    MetaCursor table_entry(uint64_t table, uint64_t index, uint64_t entry_size, const char* what);

    const SuperBlock super_;
    const ImageView image_;
    DecompressorPool decompressors_;
    Metadata metadata_;
    BlockCache blocks_;  // of data: fragments, and blocks of which a part was wanted
    DirectoryCache directories_;
    BlockSteps steps_;
    std::vector<uint32_t> ids_;
    uint64_t xattr_start_ = 0;
    uint32_t xattr_count_ = 0;
    const std::string family_;
};

// Tables of fixed entries: metadata blocks anywhere, and an array of where they start.
MetaCursor Reader::table_entry(uint64_t table, uint64_t index, uint64_t entry_size, const char* what) {
    const uint64_t byte = index * entry_size;
    uint8_t pointer[8];
    image_.read(table + byte / metadata_size * 8, pointer, sizeof pointer, what);
    const uint64_t start = le64(pointer);
    if (start >= super_.bytes_used) corrupt(std::string(what) + " lies beyond the end of the image");
    return MetaCursor(metadata_, start, super_.bytes_used, byte % metadata_size, what);
}

void Reader::read_ids() {
    ids_.resize(super_.ids);
    for (size_t first = 0; first < ids_.size();) {
        const size_t count = std::min<size_t>(ids_.size() - first, metadata_size / 4);
        table_entry(super_.id_table, first, 4, "the table of owners").read(ids_.data() + first, count * 4);
        first += count;
    }
    for (auto& id : ids_) id = le32toh(id);
}

void Reader::read_xattr_head() {
    if (super_.xattr_table == none) return;
    uint8_t head[16];
    image_.read(super_.xattr_table, head, sizeof head, "the table of extended attributes");
    xattr_start_ = le64(head);
    xattr_count_ = le32(head + 8);
    if (xattr_start_ > super_.xattr_table) corrupt("the extended attributes lie behind their table");
}

Inode Reader::inode(uint64_t node) {
    const uint64_t table_size = super_.directory_table - super_.inode_table;
    if (node >> 16 >= table_size || (node & 0xffff) >= metadata_size)
        throw Error(Code::not_found, "the squashfs image has no such inode");
    Inode i;
    MetaCursor& c = i.rest;
    c = MetaCursor(metadata_, super_.inode_table, super_.directory_table, node, "the inode table");
    uint8_t b[40];
    c.read(b, 16);
    const uint16_t type = le16(b);
    if (type < 1 || type > 14) corrupt("an inode has the unknown type " + std::to_string(type));
    i.type = type > 7 ? static_cast<uint16_t>(type - 7) : type;
    i.mode = le16(b + 2) & 07777;
    i.uid = le16(b + 4);
    i.gid = le16(b + 6);
    i.mtime = le32(b + 8);
    i.number = le32(b + 12);
    if (i.uid >= ids_.size() || i.gid >= ids_.size()) corrupt("an inode has an owner that the table of owners lacks");
    switch (type) {
        case 1:
            c.read(b, 16);
            i.start = uint64_t{le32(b)} << 16 | le16(b + 10);
            i.nlink = le32(b + 4);
            i.size = le16(b + 8);
            break;
        case 8:
            c.read(b, 24);
            i.nlink = le32(b);
            i.size = le32(b + 4);
            i.start = uint64_t{le32(b + 8)} << 16 | le16(b + 18);
            i.xattr = le32(b + 20);
            break;
        case 2:
            c.read(b, 16);
            i.start = le32(b);
            i.fragment = le32(b + 4);
            i.fragment_offset = le32(b + 8);
            i.size = le32(b + 12);
            break;
        case 9:
            c.read(b, 40);
            i.start = le64(b);
            i.size = le64(b + 8);
            i.nlink = le32(b + 24);
            i.fragment = le32(b + 28);
            i.fragment_offset = le32(b + 32);
            i.xattr = le32(b + 36);
            break;
        case 3:
        case 10:
            c.read(b, 8);
            i.nlink = le32(b);
            i.size = le32(b + 4);
            if (i.size == 0 || i.size > longest_target)
                corrupt("a symbolic link has a target of " + std::to_string(i.size) + " bytes");
            if (type == 10) {
                MetaCursor behind = c;
                behind.skip(i.size);
                behind.read(b, 4);
                i.xattr = le32(b);
            }
            break;
        case 4:
        case 5:
        case 11:
        case 12:
            c.read(b, type > 7 ? 12 : 8);
            i.nlink = le32(b);
            i.device = le32(b + 4);
            if (type > 7) i.xattr = le32(b + 8);
            break;
        default:
            c.read(b, type > 7 ? 8 : 4);
            i.nlink = le32(b);
            if (type > 7) i.xattr = le32(b + 4);
            break;
    }
    if (i.type == 1) i.size = i.size > 3 ? i.size - 3 : 0;  // stored 3 larger than the listing
    if (i.type == 2) {
        if (i.size > static_cast<uint64_t>(INT64_MAX)) corrupt("a file has the size " + std::to_string(i.size));
        if (i.fragment != no_fragment) {
            const uint64_t tail = i.size % super_.block_size;
            if (i.fragment >= super_.fragments)
                corrupt("a file lies in fragment " + std::to_string(i.fragment) + ", which the image lacks");
            if (tail == 0 || i.fragment_offset > super_.block_size || tail > super_.block_size - i.fragment_offset)
                corrupt("a file's tail lies outside its fragment");
        }
    }
    return i;
}

Inode Reader::file(uint64_t node) {
    Inode i = inode(node);
    if (i.type != 2) throw Error(Code::invalid, "this inode of the squashfs image is no regular file");
    return i;
}

sg_attr Reader::stat(uint64_t node) {
    const Inode i = inode(node);
    sg_attr a{};
    a.mode = type_bits[i.type] | i.mode;
    a.uid = ids_[i.uid];
    a.gid = ids_[i.gid];
    a.nlink = i.nlink;
    a.mtime = i.mtime;
    a.inode = i.number != 0 ? i.number : uint64_t{super_.inodes} + 1;
    a.content = SG_NO_CONTENT;
    if (i.type == 2 || i.type == 3) a.size = i.size;
    if (i.type == 4 || i.type == 5) {
        a.major = (i.device & 0xfff00) >> 8;
        a.minor = (i.device & 0xff) | ((i.device >> 12) & 0xfff00);
    }
    return a;
}

std::shared_ptr<const Directory> Reader::directory(uint64_t node) {
    return directories_.get(node, [&] {
        const Inode i = inode(node);
        if (i.type != 1) throw Error(Code::invalid, "this inode of the squashfs image is no directory");
        if (i.size == 0) return Directory{};
        return read_directory(
            MetaCursor(metadata_, super_.directory_table, super_.bytes_used, i.start, "the directory table"), i.size,
            super_.directory_table - super_.inode_table);
    });
}

uint64_t Reader::lookup(uint64_t dir, std::string_view name) {
    const auto d = directory(dir);
    const auto* e = d->find(name);
    return e ? e->node : SG_NO_NODE;
}

void Reader::list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) {
    const auto d = directory(dir);
    for (uint64_t i = cursor; i < d->entries.size(); ++i) {
        const auto& e = d->entries[static_cast<size_t>(i)];
        if (visit(arg, d->names.data() + e.name, e.length, e.node, type_bits[e.type], i + 1) != 0) return;
    }
}

std::string Reader::link_target(uint64_t node) {
    Inode i = inode(node);
    if (i.type != 3) throw Error(Code::invalid, "this inode of the squashfs image is no symbolic link");
    std::string out(static_cast<size_t>(i.size), '\0');
    i.rest.read(out.data(), out.size());
    return out;
}

void Reader::xattrs(uint64_t node, sg_visit_xattr visit, void* arg) {
    static constexpr const char* prefixes[] = {"user.", "trusted.", "security."};
    static constexpr const char* what = "the table of extended attributes";
    const Inode i = inode(node);
    if (i.xattr == no_xattr || super_.xattr_table == none) return;
    if (i.xattr >= xattr_count_) corrupt("an inode has extended attributes that the image lacks");
    uint8_t b[16];
    table_entry(super_.xattr_table + 16, i.xattr, 16, what).read(b, 16);
    const uint64_t ref = le64(b);
    const uint32_t count = le32(b + 8);
    MetaCursor c(metadata_, xattr_start_, super_.xattr_table, ref, what);
    std::string name, value;
    uint64_t total = 0;
    const auto read_value = [&](MetaCursor& from) {
        from.read(b, 4);
        const uint32_t size = le32(b);
        if (size > largest_xattr) corrupt("an extended attribute has " + std::to_string(size) + " bytes");
        value.resize(size);
        from.read(value.data(), size);
    };
    for (uint32_t k = 0; k < count; ++k) {
        c.read(b, 4);
        const uint16_t type = le16(b), length = le16(b + 2), prefix = type & 0xff;
        name.assign(prefix < 3 ? prefixes[prefix] : "");
        const size_t start = name.size();
        name.resize(start + length);
        c.read(name.data() + start, length);
        if (type & 0x100) {
            c.read(b, 12);
            if (le32(b) != 8) corrupt("an extended attribute that lies elsewhere has no reference");
            MetaCursor elsewhere(metadata_, xattr_start_, super_.xattr_table, le64(b + 4), what);
            read_value(elsewhere);
        } else {
            read_value(c);
        }
        total += name.size() + value.size() + 8;
        if (total > all_xattrs) corrupt("an inode has more than 16 MiB of extended attributes");
        if (prefix >= 3) continue;  // of a later version; the kernel passes over it too
        if (visit(arg, name.c_str(), value.data(), value.size()) != 0) return;
    }
}

Reader::Stored Reader::described(uint64_t offset, uint32_t size) const {
    if (size & ~(raw_flag | (raw_flag - 1)) || (size & ~raw_flag) > super_.block_size)
        corrupt("a block has the stored size " + std::to_string(size & ~raw_flag));
    const Stored s{offset, size & ~raw_flag, (size & raw_flag) != 0};
    if (s.size > 0 && (offset < 96 || offset >= super_.bytes_used || s.size > super_.bytes_used - offset))
        corrupt("a block lies outside the image");
    return s;
}

Reader::BlockList::BlockList(Reader& reader, uint64_t node, const Inode& inode, uint64_t first)
    : reader_(reader), list_(inode.rest), data_(inode.start) {
    uint64_t at = 0;
    if (first >= sizes_per_step) {
        const auto [step, known] = reader.steps_.find(node, first / sizes_per_step);
        if (step > 0) {
            list_.go(known.list);
            data_ = known.data;
            at = step * sizes_per_step;
        }
    }
    uint32_t sizes[256];
    while (at < first) {
        const uint64_t to_step = sizes_per_step - at % sizes_per_step;
        const auto n = static_cast<size_t>(std::min({first - at, to_step, uint64_t{256}}));
        list_.read(sizes, n * sizeof sizes[0]);
        for (size_t k = 0; k < n; ++k) data_ += le32toh(sizes[k]) & (raw_flag - 1);
        at += n;
        if (at % sizes_per_step == 0) reader.steps_.add(node, at / sizes_per_step, {list_.position(), data_});
    }
}

Reader::Stored Reader::BlockList::next() {
    uint8_t size[4];
    list_.read(size, sizeof size);
    const Stored s = reader_.described(data_, le32(size));
    data_ += s.size;
    return s;
}

Reader::Stored Reader::fragment(const Inode& i) {
    uint8_t b[16];
    table_entry(super_.fragment_table, i.fragment, 16, "the fragment table").read(b, 16);
    const Stored s = described(le64(b), le32(b + 8));
    if (s.size == 0) corrupt("a fragment block is empty");
    return s;
}

BlockCache::Ref Reader::cached(const Stored& s, const char* what) {
    return blocks_.get({s.offset, s.key()}, [&](BlockCache::Block& block, uint8_t* out) {
        if (s.raw) {
            image_.read(s.offset, out, s.size, what);
            block.size = s.size;
            return;
        }
        auto d = decompressors_.get();
        image_.read(s.offset, d->input.get(), s.size, what);
        const int64_t n = d->run({d->input.get(), s.size}, {out, super_.block_size});
        if (n < 0) corrupt(std::string(what) + " at byte " + std::to_string(s.offset) + " does not decompress");
        block.size = static_cast<uint32_t>(n);
    });
}

// A whole block straight to where it is wanted.
void Reader::decompress(const Stored& s, uint8_t* out, uint32_t expected) {
    int64_t n = s.size;
    if (s.raw) {
        if (s.size == expected) image_.read(s.offset, out, s.size, "a data block");
    } else {
        auto d = decompressors_.get();
        image_.read(s.offset, d->input.get(), s.size, "a data block");
        n = d->run({d->input.get(), s.size}, {out, expected});
    }
    if (n != expected)
        corrupt("a data block at byte " + std::to_string(s.offset) + " does not decompress to its " +
                std::to_string(expected) + " bytes");
}

// A part of a block of `length` bytes; of one that is stored raw, those bytes alone.
void Reader::read_part(const Stored& s, uint32_t length, uint64_t skip, uint8_t* out, uint64_t n) {
    uint32_t has = s.size;
    if (s.raw) {
        if (has == length) image_.read(s.offset + skip, out, n, "a data block");
    } else {
        const auto block = cached(s, "a data block");
        has = block->size;
        if (has == length) std::memcpy(out, block->data() + skip, n);
    }
    if (has != length)
        corrupt("a data block at byte " + std::to_string(s.offset) + " does not decompress to its " +
                std::to_string(length) + " bytes");
}

// The fragment block of a file whose tail lies in it, as far as can be told without decompressing.
Reader::Stored Reader::tail_of(const Inode& i) {
    const Stored s = fragment(i);
    if (s.raw && i.fragment_offset + i.size % super_.block_size > s.size)
        corrupt("a file's tail lies outside its fragment");
    return s;
}

uint64_t Reader::read(uint64_t node, uint64_t offset, void* data, uint64_t capacity) {
    const Inode i = file(node);
    if (offset >= i.size || capacity == 0) return 0;
    const uint64_t total = std::min(capacity, i.size - offset), end = offset + total;
    const uint64_t block_size = super_.block_size, blocks = block_count(i);
    auto* out = static_cast<uint8_t*>(data);
    uint64_t index = offset / block_size, at = offset;
    if (index < blocks) {
        BlockList list(*this, node, i, index);
        for (; at < end && index < blocks; ++index) {
            const uint64_t start = index * block_size;
            const auto length = static_cast<uint32_t>(std::min(block_size, i.size - start));
            const uint64_t skip = at - start, n = std::min(end - at, length - skip);
            const Stored s = list.next();
            if (s.size == 0) {
                std::memset(out, 0, n);
            } else if (n == length) {
                decompress(s, out, length);
            } else {
                read_part(s, length, skip, out, n);
            }
            out += n, at += n;
        }
    }
    if (at < end) {
        const Stored s = tail_of(i);
        const uint64_t tail = i.size % block_size, skip = at - blocks * block_size;
        if (s.raw) {
            image_.read(s.offset + i.fragment_offset + skip, out, end - at, "a fragment block");
            return total;
        }
        const auto block = cached(s, "a fragment block");
        if (i.fragment_offset + tail > block->size) corrupt("a file's tail lies outside its fragment");
        std::memcpy(out, block->data() + i.fragment_offset + skip, end - at);
    }
    return total;
}

Slice Reader::block(uint64_t node, uint64_t offset) {
    const Inode i = file(node);
    if (offset >= i.size) return {};
    const uint64_t block_size = super_.block_size, blocks = block_count(i), index = offset / block_size;
    if (index >= blocks) {
        const Stored s = tail_of(i);
        const uint64_t tail = i.size % block_size, skip = offset - blocks * block_size;
        if (s.raw) {
            std::vector<uint8_t> bytes(static_cast<size_t>(tail - skip));
            image_.read(s.offset + i.fragment_offset + skip, bytes.data(), bytes.size(), "a fragment block");
            return Slice::owned(std::move(bytes));
        }
        auto block = cached(s, "a fragment block");
        if (i.fragment_offset + tail > block->size) corrupt("a file's tail lies outside its fragment");
        const uint8_t* bytes = block->data() + i.fragment_offset + skip;
        return Slice::owned(std::move(block), bytes, tail - skip);
    }
    const uint64_t start = index * block_size, length = std::min(block_size, i.size - start), skip = offset - start;
    const Stored s = BlockList(*this, node, i, index).next();
    if (s.size == 0) return Slice::hole(length - skip);
    auto block = cached(s, "a data block");
    if (block->size != length)
        corrupt("a data block at byte " + std::to_string(s.offset) + " does not decompress to its " +
                std::to_string(length) + " bytes");
    const uint8_t* bytes = block->data() + skip;
    return Slice::owned(std::move(block), bytes, length - skip);
}

sg_placement Reader::placement(uint64_t node) {
    const Inode i = inode(node);
    if (i.type != 2 || i.fragment == no_fragment) return {none, 0, 0};
    return {i.fragment, i.fragment_offset, i.size % super_.block_size};
}

uint64_t Reader::blocks(uint64_t node, sg_stored_block* out, uint64_t capacity, sg_stored_block& shared,
                        uint64_t& shared_offset) {
    const Inode i = file(node);
    const uint64_t count = block_count(i);
    if (count > 0 && capacity > 0) {
        BlockList list(*this, node, i, 0);
        for (uint64_t k = 0; k < std::min(count, capacity); ++k) {
            const Stored s = list.next();
            out[k] = {image_.base + s.offset, s.size, s.raw ? 1u : 0u};
        }
    }
    shared = {};
    shared_offset = 0;
    if (i.fragment != no_fragment) {
        const Stored s = fragment(i);
        shared = {image_.base + s.offset, s.size, s.raw ? 1u : 0u};
        shared_offset = i.fragment_offset;
    }
    return count;
}

}  // namespace

std::unique_ptr<singularity::StoredRoot> open_squashfs(int fd, uint64_t offset, uint64_t size) {
    return std::make_unique<Reader>(ImageView{fd, offset, size});
}

namespace {

// A reader without the part that tells where its blocks are stored.
class Unstored final : public singularity::Root {
public:
    explicit Unstored(const ImageView& image) : reader_(image) {}
    uint64_t root() override { return reader_.root(); }
    sg_attr stat(uint64_t node) override { return reader_.stat(node); }
    uint64_t lookup(uint64_t dir, std::string_view name) override { return reader_.lookup(dir, name); }
    void list(uint64_t dir, uint64_t cursor, sg_visit_entry visit, void* arg) override {
        reader_.list(dir, cursor, visit, arg);
    }
    std::string link_target(uint64_t node) override { return reader_.link_target(node); }
    void xattrs(uint64_t node, sg_visit_xattr visit, void* arg) override { reader_.xattrs(node, visit, arg); }
    bool has_xattrs() override { return reader_.has_xattrs(); }
    uint64_t read(uint64_t node, uint64_t offset, void* data, uint64_t capacity) override {
        return reader_.read(node, offset, data, capacity);
    }
    Slice block(uint64_t node, uint64_t offset) override { return reader_.block(node, offset); }
    sg_placement placement(uint64_t node) override { return reader_.placement(node); }
    void totals(uint64_t& bytes, uint64_t& inodes, uint32_t& block_size) override {
        reader_.totals(bytes, inodes, block_size);
    }

private:
    Reader reader_;
};

}  // namespace

std::unique_ptr<singularity::Root> open_squashfs(const ByteSource& source, uint64_t size) {
    return std::make_unique<Unstored>(ImageView{-1, 0, size, &source});
}

}  // namespace squashfs
