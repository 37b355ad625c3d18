#include "mount/view.hpp"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

namespace sg {

namespace {

// Inode numbers of made places: past whatever an image counts to.
constexpr uint64_t made_inodes = 1ull << 52;
constexpr size_t max_name = 255;
// In a directory with made places a listing's offset holds the reader's cursor above their running number.
constexpr unsigned running_bits = 12;
static_assert(Places::max_siblings < (1u << running_bits));
constexpr uint64_t max_cursor = static_cast<uint64_t>(INT64_MAX) - 2;

std::vector<std::string> texts(const char* const* list) {
    std::vector<std::string> out;
    for (; list && *list; ++list) out.emplace_back(*list);
    return out;
}

// A name of a damaged image that no path can reach is not shown: one of them would make the kernel refuse
// the whole directory.
bool valid_name(std::string_view name) {
    if (name.empty() || name.size() > max_name || name == "." || name == "..") return false;
    return !std::memchr(name.data(), '/', name.size()) && !std::memchr(name.data(), '\0', name.size());
}

// A reader gives the type as in st_mode.
uint32_t dirent_type(uint32_t type) { return (type & S_IFMT) >> 12; }

uint32_t device_number(uint32_t major, uint32_t minor) {  // the kernel's new_decode_dev
    return (minor & 0xff) | (major << 8) | ((minor & ~0xffu) << 12);
}

}  // namespace

View::View(const sg_root_v1* table, sg_root* root, const sg_mount_view& view)
    : table_(table),
      root_(root),
      root_node_(table->root(root)),
      map_ids_(view.map_ids != 0),
      uid_(view.uid),
      gid_(view.gid),
      places_(table, root, texts(view.places)),
      stored_(table, root) {
    sg_attr attr{};
    if (table_->stat(root_, root_node_, &attr, nullptr) == SG_OK) made_time_ = attr.mtime;
}

bool View::image_node(uint64_t id, uint64_t& node) const noexcept {
    if (id & made_bit || id == 0 || (id == 2 && root_node_ == 0)) return false;
    node = id == FUSE_ROOT_ID ? root_node_ : id - 2;
    return true;
}

bool View::made_node(uint64_t id, Places::Index& index) const noexcept {
    if (!(id & made_bit) || !places_.holds(id & ~made_bit)) return false;
    index = static_cast<Places::Index>(id & ~made_bit);
    return true;
}

uint64_t View::id_of(uint64_t node) const noexcept {
    if (node == root_node_) return FUSE_ROOT_ID;
    return node < made_bit - 2 ? node + 2 : 0;
}

int View::attributes(uint64_t id, fuse_attr& out) const noexcept {
    std::memset(&out, 0, sizeof out);
    Places::Index made;
    if (made_node(id, made)) {
        const auto& place = places_[made];
        out.ino = made_inodes + made;
        out.mode = place.directory ? S_IFDIR | 0755 : S_IFREG | 0644;
        out.nlink = place.directory ? static_cast<uint32_t>(2 + places_.directories(place.children)) : 1;
        out.mtime = static_cast<uint64_t>(made_time_);
    } else {
        uint64_t node;
        sg_attr attr;
        if (!image_node(id, node) || table_->stat(root_, node, &attr, nullptr) != SG_OK) return EIO;
        out.ino = attr.inode;
        out.size = attr.size;
        out.blocks = attr.size / 512 + (attr.size % 512 != 0);
        out.mtime = static_cast<uint64_t>(attr.mtime);
        out.mode = attr.mode;
        out.nlink = std::max<uint32_t>(attr.nlink, 1);
        if (S_ISDIR(attr.mode)) {
            out.nlink = std::max<uint32_t>(attr.nlink, 2);
            if (const auto* added = places_.below(node))
                out.nlink += static_cast<uint32_t>(places_.directories(*added));
        }
        out.uid = attr.uid;
        out.gid = attr.gid;
        if (S_ISCHR(attr.mode) || S_ISBLK(attr.mode)) out.rdev = device_number(attr.major, attr.minor);
    }
    out.atime = out.ctime = out.mtime;
    if (map_ids_) {
        out.uid = uid_;
        out.gid = gid_;
    }
    return 0;
}

int View::lookup(uint64_t dir, std::string_view name, uint64_t& id) const noexcept {
    if (name.size() > max_name) return ENAMETOOLONG;
    Places::Index made;
    const std::vector<Places::Index>* added;
    if (made_node(dir, made)) {
        added = &places_[made].children;
    } else {
        uint64_t node, child = SG_NO_NODE;
        if (!image_node(dir, node)) return EIO;
        const int32_t rc = table_->lookup(root_, node, name.data(), name.size(), &child, nullptr);
        if (rc == SG_OK) {
            id = id_of(child);
            return id ? 0 : EIO;
        }
        if (rc != SG_ENOTFOUND) return EIO;
        added = places_.below(node);
    }
    const Places::Index found = added ? places_.find(*added, name) : Places::none;
    if (found == Places::none) return ENOENT;
    id = made_bit | found;
    return 0;
}

int View::list(uint64_t dir, uint64_t offset, Visit visit, void* arg) const noexcept {
    if (offset == 0) {
        if (!visit(arg, {".", 0, DT_DIR, 1})) return 0;
        offset = 1;
    }
    if (offset == 1) {
        if (!visit(arg, {"..", 0, DT_DIR, 2})) return 0;
        offset = 2;
    }
    Places::Index made;
    uint64_t node;
    if (made_node(dir, made)) return list_made(places_[made].children, offset - 2, visit, arg);
    if (image_node(dir, node)) return list_image(node, offset - 2, visit, arg);
    return EIO;
}

int View::list_made(const std::vector<Places::Index>& children, uint64_t offset, Visit visit,
                    void* arg) const noexcept {
    for (uint64_t i = offset; i < children.size(); ++i) {
        const auto& place = places_[children[i]];
        if (!visit(arg, {place.name, made_bit | children[i], place.directory ? DT_DIR : DT_REG, i + 3})) break;
    }
    return 0;
}

namespace {

// One listing of a directory of the image on its way through the reader's C callback.
struct Listing {
    View::Visit visit;
    void* arg;
    uint64_t cursor;  // of the reader, after the last entry that was taken
    bool stopped = false, failed = false;
};

}  // namespace

int View::list_image(uint64_t node, uint64_t offset, Visit visit, void* arg) const noexcept {
    struct Merge : Listing {
        const View* view;
        const std::vector<Places::Index>* added;  // NULL: a plain directory
        uint64_t running;                         // how many of `added` were taken

        uint64_t position(uint64_t after) const { return 2 + (added ? after << running_bits | running : after); }

        bool give_added() {
            const auto index = (*added)[running];
            const auto& place = view->places_[index];
            ++running;
            if (visit(arg, {place.name, made_bit | index, place.directory ? DT_DIR : DT_REG, position(cursor)}))
                return true;
            stopped = true;
            return false;
        }

        static int32_t take(void* self, const char* text, uint64_t length, uint64_t child, uint32_t type,
                            uint64_t after) {
            auto& m = *static_cast<Merge*>(self);
            const std::string_view name(text, static_cast<size_t>(length));
            if (after > (m.added ? max_cursor >> running_bits : max_cursor)) {
                m.failed = true;
                return 1;
            }
            const uint64_t id = m.view->id_of(child);
            if (id == 0 || !valid_name(name)) {
                m.cursor = after;
                return 0;
            }
            while (m.added && m.running < m.added->size() && m.view->places_[(*m.added)[m.running]].name < name)
                if (!m.give_added()) return 1;
            if (!m.visit(m.arg, {name, id, dirent_type(type), m.position(after)})) {
                m.stopped = true;
                return 1;
            }
            m.cursor = after;
            return 0;
        }
    } merge{{visit, arg, offset}, this, places_.below(node), 0};
    if (merge.added) {
        merge.running = offset & ((1u << running_bits) - 1);
        merge.cursor = offset >> running_bits;
    }
    // Also past the end of the reader's entries, where only made ones may be left: it then visits nothing.
    const int32_t rc = table_->list(root_, node, merge.cursor, Merge::take, &merge, nullptr);
    if (merge.failed || rc != SG_OK) return EIO;
    while (merge.added && !merge.stopped && merge.running < merge.added->size()) merge.give_added();
    return 0;
}

int View::link_target(uint64_t id, char* out, uint64_t capacity, uint64_t& length) const noexcept {
    uint64_t node;
    if (!image_node(id, node) || table_->link_target(root_, node, out, capacity, &length, nullptr) != SG_OK) return EIO;
    return length <= capacity ? 0 : ENAMETOOLONG;
}

int View::read(uint64_t id, uint64_t offset, void* out, uint64_t capacity, uint64_t& got) const noexcept {
    got = 0;
    Places::Index made;
    if (made_node(id, made)) return 0;
    uint64_t node;
    if (!image_node(id, node) || table_->read(root_, node, offset, out, capacity, &got, nullptr) != SG_OK) return EIO;
    if (got > capacity) return EIO;
    if (got < capacity) {  // the kernel would take a short answer for the end of the file and fill with zeros
        sg_attr attr;
        if (table_->stat(root_, node, &attr, nullptr) != SG_OK) return EIO;
        if (offset < attr.size && got < attr.size - offset) return EIO;
    }
    return 0;
}

size_t View::pieces(uint64_t id, uint64_t offset, uint64_t capacity, std::span<iovec, StoredBytes::most_pieces> out) const noexcept {
    uint64_t node;
    sg_attr attr;
    if (capacity < StoredBytes::least || !table_->stored || !image_node(id, node) || table_->stat(root_, node, &attr, nullptr) != SG_OK || offset >= attr.size)
        return 0;
    return stored_.pieces(node, offset, std::min(capacity, attr.size - offset), out);
}

int View::xattrs(uint64_t id, sg_visit_xattr visit, void* arg) const noexcept {
    Places::Index made;
    if (made_node(id, made)) return 0;
    uint64_t node;
    if (!image_node(id, node)) return EIO;
    return table_->xattrs(root_, node, visit, arg, nullptr) == SG_OK ? 0 : EIO;
}

bool View::has_xattrs() const noexcept {
    const auto none = [](void*, const char*, const void*, uint64_t) -> int32_t { return 1; };
    return table_->xattrs(root_, SG_NO_NODE, none, nullptr, nullptr) != SG_OK;
}

void View::totals(fuse_kstatfs& out) const noexcept {
    uint64_t bytes = 0, inodes = 0;
    uint32_t block = 0;
    table_->totals(root_, &bytes, &inodes, &block);
    std::memset(&out, 0, sizeof out);
    out.bsize = out.frsize = block ? block : 4096;
    out.blocks = bytes / out.bsize + (bytes % out.bsize != 0);
    out.files = inodes;
    out.namelen = max_name;
}

bool View::placement(uint64_t id, sg_placement& out) const noexcept {
    uint64_t node;
    return table_->placement && image_node(id, node) && table_->placement(root_, node, &out, nullptr) == SG_OK &&
           out.shared != UINT64_MAX;
}

bool View::first_block(uint64_t id, sg_slice& out) const noexcept {
    uint64_t node;
    return table_->block && image_node(id, node) && table_->block(root_, node, 0, &out, nullptr) == SG_OK;
}

}  // namespace sg
