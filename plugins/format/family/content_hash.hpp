// SPDX-License-Identifier: BSD-3-Clause
/*
 * content_hash.hpp: tells equal bytes from different ones, for deduplication of hostile content.
 *
 * A universal hash under a secret key that is drawn anew for each object: NH twice (Toeplitz, as UMAC and VMAC
 * use it) over chunks of 256 bytes, then a polynomial modulo 2^61-1 at two points. Whoever makes the
 * content does not know the key, so two different inputs of 128 KiB are taken for equal with probability
 * below 2^-98. That is a proof, which XXH3 does not have, at 10 GB/s and without reading the first copy
 * back to compare. The value must never leave the process, or the key could be found.
 */
#pragma once
#include <cstdint>
#include <span>

namespace squashfs {

struct ContentKey {
    uint64_t a = 0, b = 0;
    bool operator==(const ContentKey&) const = default;
};

struct ContentKeyHash {
    size_t operator()(const ContentKey& k) const { return k.a ^ (k.b << 1); }
};

class ContentHash {
public:
    ContentHash();  // takes its key from getrandom(2)

    ContentKey operator()(std::span<const uint8_t> bytes) const;

    // For a sequence of numbers, each below 2^61: state = extend(state, next).
    ContentKey extend(const ContentKey& state, uint64_t next) const {
        return {step(state.a, points_[0], next), step(state.b, points_[1], next)};
    }

private:
    static constexpr uint64_t prime = (uint64_t{1} << 61) - 1;
    // h * r + m modulo the prime, not fully reduced: below 2^62 when h is and m is below 2^61.
    static uint64_t step(uint64_t h, uint64_t r, uint64_t m) {
        const auto x = static_cast<unsigned __int128>(h) * r;
        uint64_t s = (static_cast<uint64_t>(x) & prime) + static_cast<uint64_t>(x >> 61);
        s = (s & prime) + (s >> 61);
        return s + m;
    }
    static constexpr unsigned chunk_words = 32;
    uint64_t nh_[chunk_words + 2];
    uint64_t points_[2];
};

}  // namespace squashfs
