// One layer on its way from storage to the tar reader: read, hashed, inflated, hashed again.
#pragma once
#include <singularity/stream.hpp>

#include <memory>
#include <string>

#include "rootfs/merge.hpp"
#include "rootfs/read_ahead.hpp"
#include "rootfs/slices.hpp"

namespace sg {

// How a message calls a layer.
std::string layer_name(const LayerInput& layer);

// The layer's uncompressed tar; slices have owners. Size, digest and diff ID are compared at the end of
// the stream, so it must be read to there. Errors are Code::corrupt and the like with the layer's name
// in front. With `threads` > 1 four threads work ahead, with at most about 32 MiB between them, from
// now on; else everything happens in `next`. The layer is opened by the first `next` or by a thread.
// More than `most` bytes of tar throw Code::limit (limits.image_size).
std::unique_ptr<singularity::Stream> open_layer(const LayerInput& layer, uint64_t most, unsigned threads,
                                                std::shared_ptr<BufferPool> pool, const sg_call* call);

}  // namespace sg
