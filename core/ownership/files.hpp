// The files of a build and what is recorded of them.
//
// Through an overlay a file's numbers change when it is copied up, and are no longer there when the layer is read. So a
// file of the image is known by its inode in the writable layer, which is found by the name that the kernel knows it
// by; any other file by its own.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>

#include "base/unique_fd.hpp"
#include "rootfs/owner_record.hpp"

namespace sg::ownership {

struct Owner {
    uint32_t uid = 0, gid = 0;
    bool operator==(const Owner&) const = default;
};

// Who owns a file of the base ("usr/bin/su"); nothing when the base has none of that name.
using BaseOwners = std::function<std::optional<Owner>(std::string_view path)>;

class Files {
public:
    // `layer` is the upper directory of the build's overlay; "" = the build has none. `place` is where that is mounted for
    // programs of the host.
    Files(std::string layer, BaseOwners base, std::string place = {})
        : layer_path_(std::move(layer)), place_(std::move(place)), base_(std::move(base)) {}

    struct Seen {
        std::optional<FileIdentity> identity;  // nothing: only the base has it, or it has no name any more
        bool base_only = false;                // in the image, and not in the writable layer
        Owner owner;
        const RecordedFile* record = nullptr;  // until the record changes
    };

    // `object` is open (O_PATH). Throws nothing: what cannot be found out is not recorded.
    Seen look(int object);
    // The entry of a file that is to be recorded, begun with the owner that it has; the base's are copied into the
    // layer. Null: nobody will ever see it again.
    RecordedFile* entry(int object);
    // The same of a file that was looked at since its last change, but for one of its owner and mode.
    RecordedFile* entry(int object, Seen seen);
    // The owner of a file that has no name and may get one later.
    void know_unnamed(int object, const Owner& owner);
    std::optional<Owner> unnamed(int object) const;
    // The entry of a device that was just made.
    RecordedFile* device_entry(int object);
    bool has_devices() const { return !device_inodes_.empty(); }
    // Whether a file with this inode number (of any file system) is one, or was.
    bool may_be_device(uint64_t inode) const { return device_inodes_.count(inode) != 0; }
    const OwnerRecord& record() const { return record_; }
    void know(const OwnerRecord& record) { record_.add(record); }

private:
    OwnerRecord record_, unnamed_;
    std::unordered_set<uint64_t> device_inodes_;
    std::string layer_path_, place_;
    BaseOwners base_;
    UniqueFd layer_;
};

// The path of an O_PATH descriptor's file for calls that want a path.
std::string path_of_descriptor(int fd);

}  // namespace sg::ownership
