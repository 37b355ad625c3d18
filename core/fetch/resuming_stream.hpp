// A stream that goes on where it broke off.
#pragma once
#include <singularity/stream.hpp>

#include <functional>
#include <memory>

#include "base/call.hpp"

namespace sg {

// `open` gives the bytes from an offset on. A failure of the network is followed by another opening at the offset
// reached, as long as some bytes came since the last one and at most a few times; what `open` throws then is not
// told, but the failure before it.
std::unique_ptr<singularity::Stream> resuming(std::function<std::unique_ptr<singularity::Stream>(uint64_t offset)> open, const sg_call* call);

}  // namespace sg
