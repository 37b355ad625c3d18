// Streams whose size and digest are compared while they pass by.
#pragma once
#include <singularity/stream.hpp>

#include <cstdint>
#include <memory>
#include <string>

#include "image/hasher.hpp"

namespace sg {

// What a stream must turn out to be. Empty or unknown members are not checked.
struct Expected {
    std::string digest;
    uint64_t size = SG_SIZE_UNKNOWN;
    std::string what;            // "layer sha256:...": begins the message
    std::string of = "digest";   // how the digest is called in the message: "digest" or "diff ID"
};

// Passes `from` through. At its end, before the empty slice is given, size and digest are compared;
// a difference throws Code::corrupt with both. More than `size` bytes throw as soon as they are seen.
// `own_thread`: hashing runs beside the reader (slices without an owner are copied for it).
std::unique_ptr<singularity::Stream> verify(std::unique_ptr<singularity::Stream> from, Expected expected,
                                            bool own_thread = false);

}  // namespace sg
