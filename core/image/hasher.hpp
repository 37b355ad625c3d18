// The digest of bytes that pass by.
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

}  // namespace sg
