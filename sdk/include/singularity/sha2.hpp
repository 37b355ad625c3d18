// SPDX-License-Identifier: BSD-3-Clause
// sha2.hpp: digests of documents that are in memory (manifests, names): SHA-256 and SHA-512 of FIPS 180-4, by no
// library.
//
// For little: a library hashes layers and images several times faster. But a start from a URI hashes two names, and to
// map libcrypto for that takes it a millisecond.
#pragma once
#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <singularity/digest.hpp>

namespace singularity {
namespace detail {

// Section 4.2: fractions of the cube roots of the first 80 primes. SHA-256 takes the upper halves of the first 64, and
// of the square roots in its initial value.
inline constexpr uint64_t sha2_roots[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
    0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
    0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
    0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
    0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
    0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
    0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
    0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

// Word is uint32_t for SHA-256 and uint64_t for SHA-512.
template <std::unsigned_integral Word>
class Sha2 {
public:
    static constexpr size_t block_size = 16 * sizeof(Word);

    static std::array<unsigned char, 8 * sizeof(Word)> of(std::string_view bytes) {
        Sha2 sum;
        const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
        size_t left = bytes.size();
        for (; left >= block_size; left -= block_size, at += block_size) sum.take(at);
        // Section 5.1: a bit, zeros, and the length in bits at the end of a block.
        unsigned char end[2 * block_size] = {};
        for (size_t i = 0; i < left; ++i) end[i] = at[i];
        end[left] = 0x80;
        const size_t size = left + 1 + 2 * sizeof(Word) <= block_size ? block_size : 2 * block_size;
        const uint64_t length = bytes.size();
        for (size_t i = 0; i < 8; ++i) end[size - 1 - i] = static_cast<unsigned char>((length << 3) >> (8 * i));
        sum.take(end);
        if (size > block_size) sum.take(end + block_size);
        std::array<unsigned char, 8 * sizeof(Word)> out;
        for (size_t i = 0; i < out.size(); ++i)
            out[i] =
                static_cast<unsigned char>(sum.state_[i / sizeof(Word)] >> (8 * (sizeof(Word) - 1 - i % sizeof(Word))));
        return out;
    }

private:
    static constexpr bool wide = sizeof(Word) == 8;
    static constexpr Word top(uint64_t root) { return static_cast<Word>(root >> (64 - 8 * sizeof(Word))); }
    static constexpr Word turned(Word x, int a, int b, int c) {
        return std::rotr(x, a) ^ std::rotr(x, b) ^ std::rotr(x, c);
    }
    static constexpr Word shifted(Word x, int a, int b, int c) { return std::rotr(x, a) ^ std::rotr(x, b) ^ (x >> c); }

    // Section 6.2.2.
    void take(const unsigned char* block) {
        constexpr size_t rounds = wide ? 80 : 64;
        Word w[rounds];
        for (size_t i = 0; i < 16; ++i) {
            w[i] = 0;
            for (size_t b = 0; b < sizeof(Word); ++b)
                w[i] = static_cast<Word>((w[i] << 8) | block[i * sizeof(Word) + b]);
        }
        for (size_t i = 16; i < rounds; ++i) {
            const Word s0 = wide ? shifted(w[i - 15], 1, 8, 7) : shifted(w[i - 15], 7, 18, 3);
            const Word s1 = wide ? shifted(w[i - 2], 19, 61, 6) : shifted(w[i - 2], 17, 19, 10);
            w[i] = w[i - 16] + s0 + w[i - 7] + s1;
        }
        Word v[8];
        for (size_t i = 0; i < 8; ++i) v[i] = state_[i];
        for (size_t i = 0; i < rounds; ++i) {
            const Word e = v[4], a = v[0];
            const Word s1 = wide ? turned(e, 14, 18, 41) : turned(e, 6, 11, 25);
            const Word s0 = wide ? turned(a, 28, 34, 39) : turned(a, 2, 13, 22);
            const Word t1 = v[7] + s1 + ((e & v[5]) ^ (~e & v[6])) + top(sha2_roots[i]) + w[i];
            const Word t2 = s0 + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
            for (size_t k = 7; k > 0; --k) v[k] = v[k - 1];
            v[4] += t1;
            v[0] = t1 + t2;
        }
        for (size_t i = 0; i < 8; ++i) state_[i] += v[i];
    }

    Word state_[8] = {top(0x6a09e667f3bcc908), top(0xbb67ae8584caa73b), top(0x3c6ef372fe94f82b),
                      top(0xa54ff53a5f1d36f1), top(0x510e527fade682d1), top(0x9b05688c2b3e6c1f),
                      top(0x1f83d9abfb41bd6b), top(0x5be0cd19137e2179)};
};

}  // namespace detail

inline Digest digest_of(Digest::Algorithm algorithm, std::string_view bytes) {
    const auto named = [&](const auto& sum) { return Digest::of_bytes(algorithm, sum.data(), sum.size()); };
    return algorithm == Digest::Algorithm::sha256 ? named(detail::Sha2<uint32_t>::of(bytes))
                                                  : named(detail::Sha2<uint64_t>::of(bytes));
}

}  // namespace singularity
