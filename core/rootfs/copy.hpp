// Copies the root file system of an open image (SIF, squashfs, directory) into a writer.
#pragma once
#include <singularity/format.hpp>

#include "rootfs/merge.hpp"
#include "rootfs/tree.hpp"
#include "rootfs/upper_tree.hpp"
#include "rootfs/writer.hpp"

namespace sg {

// The tree of `from`, its files adopted as stored where `writer` can and streamed otherwise (holes stay
// holes). Names of one inode stay hard links. Extended attributes that a layer may not bring
// (is_kept_xattr) are left out. Names, sizes and counts of `from` are checked: it may be hostile.
// Throws as merge_layers does.
Tree copy_root(const singularity::ForeignRoot& from, ImageWriter& writer, const MergeLimits& limits,
               const sg_call* call);
// The same with changes over it: what `upper` hides is not even adopted.
Tree copy_root(const singularity::ForeignRoot& from, ImageWriter& writer, const MergeLimits& limits, UpperTree upper,
               const sg_call* call);

}  // namespace sg
