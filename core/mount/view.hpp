// The tree that a FUSE mount shows: an image's root file system under FUSE's node numbers, with its owners as
// stored or as one user, and with places added (places.hpp). Everything a server asks of an image goes
// through here.
//
// FUSE numbers: the image's root is 1 (FUSE_ROOT_ID), another node n of the image is n + 2, a made place has
// the top bit set. Numbers come from the kernel, but are checked all the same; which nodes an image has is
// the reader's to check.
//
// Immutable once built; every function from any thread, none throws or allocates. They return 0 or an errno:
// what the reader says of damaged or unreadable data becomes EIO.
#pragma once
#include <linux/fuse.h>
#include <singularity/host.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mount/places.hpp"
#include "mount/stored_bytes.hpp"

namespace sg {

class View {
public:
    // Owners are `uid` and `gid` when `map_ids`. Neither table nor root are owned.
    View(const sg_root_v1* table, sg_root* root, const sg_mount_view& view);

    struct Entry {
        std::string_view name;
        uint64_t id;      // FUSE number; 0 for "." and ".."
        uint32_t type;    // DT_*
        uint64_t offset;  // where a listing goes on after this entry
    };
    // Returns false to stop; the entry then counts as not taken.
    using Visit = bool (*)(void* arg, const Entry& entry);

    int attributes(uint64_t id, fuse_attr& out) const noexcept;
    int lookup(uint64_t dir, std::string_view name, uint64_t& id) const noexcept;  // ENOENT: no such name
    // Entries after `offset` (0: from the start, with "." and ".."). In byte order of names, but for the dots.
    int list(uint64_t dir, uint64_t offset, Visit visit, void* arg) const noexcept;
    int link_target(uint64_t id, char* out, uint64_t capacity, uint64_t& length) const noexcept;
    // EIO too when the image gives fewer bytes than the file's size promises.
    int read(uint64_t id, uint64_t offset, void* out, uint64_t capacity, uint64_t& got) const noexcept;
    // The same bytes, where they lie uncompressed: the number of pieces; 0: read() has them. See stored_bytes.hpp.
    size_t pieces(uint64_t id, uint64_t offset, uint64_t capacity, std::span<iovec, StoredBytes::most_pieces> out) const noexcept;
    int xattrs(uint64_t id, sg_visit_xattr visit, void* arg) const noexcept;
    bool has_xattrs() const noexcept;  // false: no node of the image has any
    void totals(fuse_kstatfs& out) const noexcept;

    // Of a file of the image; false when it shares no block or cannot be read.
    bool placement(uint64_t id, sg_placement& out) const noexcept;
    // The decompressed bytes from the file's start to the end of its first block; the caller releases them.
    bool first_block(uint64_t id, sg_slice& out) const noexcept;

private:
    static constexpr uint64_t made_bit = 1ull << 63;
    bool image_node(uint64_t id, uint64_t& node) const noexcept;
    bool made_node(uint64_t id, Places::Index& index) const noexcept;
    uint64_t id_of(uint64_t node) const noexcept;  // 0: a number that FUSE cannot carry
    int list_image(uint64_t node, uint64_t offset, Visit visit, void* arg) const noexcept;
    int list_made(const std::vector<Places::Index>& children, uint64_t offset, Visit visit, void* arg) const noexcept;

    const sg_root_v1* table_;
    sg_root* root_;
    uint64_t root_node_;
    bool map_ids_;
    uint32_t uid_, gid_;
    int64_t made_time_ = 0;  // made places have the time of the image's root
    Places places_;
    mutable StoredBytes stored_;  // maps the image when it first can
};

}  // namespace sg
