// How much room a build will take, told before it ends in a full disk. These are estimates, so they are warnings: what
// %post removes or a sparse file holds is not known before.
#pragma once
#include <cstdint>
#include <singularity/format.hpp>
#include <string>
#include <vector>

#include "plugin/host.hpp"
#include "rootfs/merge.hpp"

namespace sg {

// Warns when `directory` has less room than `bytes` of `what` ("the unpacked base"); `hint` says what helps.
void expect_space(const std::string& what, uint64_t bytes, const std::string& directory, const std::string& hint);
// The same for an image that is made at `target` of another, or of layers.
void expect_space_for_image(const std::string& target, const FormatEntry& format, const OpenedImage& base,
                            const singularity::ForeignRoot& root);
void expect_space_for_image(const std::string& target, const FormatEntry& format,
                            const std::vector<LayerInput>& layers);

// Bytes that the files of a root file system take on disk.
uint64_t unpacked_bytes(const singularity::ForeignRoot& root);

}  // namespace sg
