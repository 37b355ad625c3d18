// Images beside the root: overlays, and data that --bind shows a part of (docs/user/running.md).
#pragma once
#include <singularity/launcher.h>

#include <memory>
#include <string>
#include <vector>

#include "plugin/host.hpp"
#include "runtime/launch_options.hpp"
#include "runtime/lazy_root.hpp"

namespace sg::runtime {

struct ExtraImage {
    std::string role;  // as in the LaunchSpec: "overlay" or "data"
    std::string name;  // as people wrote it
    sg_mount_plan plan{};
    bool writable = false;  // it is to be written to
    std::shared_ptr<OpenedImage> file;  // null: a directory
    uint64_t part = 0;                  // of the file; 0: its root file system
    std::shared_ptr<LazyRoot> reader;   // null: nothing here reads it

    // Opens the reader at once unless the kernel mounts it (then it is there for kernels that cannot). An empty
    // one for a file system that nothing here reads.
    sg_launch_image for_launch(bool kernel_mounts) const;
};

// What --overlay names, in its order: a directory, a file system, or the overlay partitions of an image (without
// any: its root file system, read-only). Throws Code::usage when two of them are to be written to,
// and Code::veto for an image that the site's policies forbid.
std::vector<ExtraImage> open_overlays(const std::vector<OverlayOption>& options, PluginHost& plugins, const sg_call* call);

// The overlay partitions of the image itself, to be written to with `writable`.
std::vector<ExtraImage> own_overlays(std::shared_ptr<OpenedImage> image, bool writable);

// One for each of `binds` that names an image, in their order; fills in their image_directory. Code::veto
// likewise.
std::vector<ExtraImage> open_data(std::vector<Bind>& binds, PluginHost& plugins, const sg_call* call);

// "PATH[:ro|:rw]".
OverlayOption parse_overlay(const std::string& text);

}  // namespace sg::runtime
