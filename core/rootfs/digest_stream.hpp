// Hashing of bytes that pass by.
#pragma once
#include <singularity/stream.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace sg {

// A running hash. Algorithms: sha256, sha512.
class Hasher {
public:
    // `algorithm` may be a whole digest ("sha256:HEX"): what stands before the colon counts. Throws
    // Code::unsupported for another algorithm.
    explicit Hasher(std::string_view algorithm);
    Hasher(Hasher&&) noexcept;
    Hasher& operator=(Hasher&&) noexcept;
    ~Hasher();
    void update(const void* data, uint64_t size);
    void update(const singularity::Slice& slice);  // a hole counts as zeros
    std::string finish();                          // "sha256:HEX"; once

private:
    struct State;
    std::unique_ptr<State> state_;
};

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
