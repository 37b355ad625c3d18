// The changes that a run made over a root file system, as a tree that hides parts of what lies below it.
//
// They come as a tar stream in the manner of OCI layers (image-spec, layer.md "Whiteouts"), as overlay_tar.hpp writes it:
// parents before children, names literal (no link is followed), whiteouts as ".wh.NAME" and ".wh..wh..opq".
#pragma once
#include <singularity/stream.hpp>

#include <cstdint>
#include <optional>
#include <unordered_set>

#include "rootfs/merge.hpp"
#include "rootfs/tree.hpp"
#include "rootfs/writer.hpp"

namespace sg {

struct UpperTree {
    Tree tree;
    std::unordered_set<Tree::Node> gone;    // names that hide what lies below
    std::unordered_set<Tree::Node> opaque;  // directories that hide all that lies below them
    // Owners of files that were changed are not known: those of the same file below are taken.
    bool owners_unknown = false;
};

struct UpperRules {
    std::optional<int64_t> latest;  // no time is later than this
    bool owners_unknown = false;
};

// Hands the bytes of each file to `writer`. Throws as merge_layers does.
UpperTree read_upper(singularity::Stream& tar, ImageWriter& writer, const MergeLimits& limits, const UpperRules& rules,
                     const sg_call* call);

}  // namespace sg
