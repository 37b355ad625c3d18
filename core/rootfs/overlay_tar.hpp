// The upper directory of an overlay mount as a tar stream in the manner of OCI layers (Linux,
// filesystems/overlayfs.rst "whiteouts and opaque directories"; OCI image-spec, layer.md "Whiteouts").
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "rootfs/owner_record.hpp"

namespace sg {

struct OverlayTarRules {
    // Paths ("etc/x", from the directory) that are left out, with all below them.
    std::function<bool(std::string_view path)> leave_out;
    bool is_overlay = true;  // false: a plain directory; character devices 0:0 and overlay's attributes mean nothing
    // Owners, devices and attributes that stand in no file system; null: the kernel's are the right ones.
    const OwnerRecord* record = nullptr;
    bool recorded_owners = true;  // false: the kernel's owners are the right ones all the same
    // With a record: user and group of a file of the base. Asked for what the overlay copied up and nobody gave an
    // owner.
    std::function<std::optional<std::pair<uint32_t, uint32_t>>(std::string_view path)> base_owner;
};

// Writes the tree below the open directory `directory` to `out` (a pipe, a file): names in byte order, parents first,
// the directory itself left out, hard links as links, file capabilities as the kernel's version 2. No link is followed.
// Sockets are left out. Throws permission, io, no_space. Runs in the user namespace whose ids are meant.
void write_overlay_tar(int directory, int out, const OverlayTarRules& rules);

}  // namespace sg
