// SPDX-License-Identifier: BSD-3-Clause
// digest.hpp: the name of some bytes by their hash, as a checked value (no hashing here).
//
// Grammar: OCI image-spec, descriptor.md "Digests". Only the two registered algorithms that are in use
// are accepted, with exactly their number of lower-case hex digits, so that hex() is safe as a file name.
#pragma once
#include <compare>
#include <optional>
#include <singularity/error.hpp>

namespace singularity {

class Digest {
public:
    enum class Algorithm { sha256, sha512 };

    // nullopt when `text` is no digest that we know how to check.
    static std::optional<Digest> try_parse(std::string_view text) {
        for (Algorithm a : {Algorithm::sha256, Algorithm::sha512}) {
            const std::string_view n = name(a);
            if (text.size() <= n.size() || text.substr(0, n.size()) != n || text[n.size()] != ':') continue;
            const auto d = from_hex(a, text.substr(n.size() + 1));
            if (d) return d;
        }
        return std::nullopt;
    }
    // Throws Code::invalid; `where` says what held the text ("index.json of DIR").
    static Digest parse(std::string_view text, std::string_view where) {
        if (auto d = try_parse(text)) return *std::move(d);
        throw Error(Code::invalid, std::string(where) + ": \"" + quoted(text) + "\" is not a sha256 or sha512 digest");
    }
    static std::optional<Digest> from_hex(Algorithm algorithm, std::string_view hex) {
        if (hex.size() != hex_length(algorithm)) return std::nullopt;
        for (char c : hex)
            if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return std::nullopt;
        return Digest(algorithm, std::string(hex));
    }
    static Digest of_bytes(Algorithm algorithm, const unsigned char* hash, size_t size) {
        static constexpr char digits[] = "0123456789abcdef";
        std::string hex;
        for (size_t i = 0; i < size; ++i) {
            hex += digits[hash[i] >> 4];
            hex += digits[hash[i] & 15];
        }
        if (auto d = from_hex(algorithm, hex)) return *std::move(d);
        throw Error(Code::internal,
                    "a hash of " + std::to_string(size) + " bytes is none of " + std::string(name(algorithm)));
    }

    Algorithm algorithm() const { return algorithm_; }
    std::string_view algorithm_name() const { return name(algorithm_); }
    const std::string& hex() const { return hex_; }
    std::string text() const { return std::string(name(algorithm_)) + ":" + hex_; }

    friend bool operator==(const Digest&, const Digest&) = default;
    friend auto operator<=>(const Digest&, const Digest&) = default;

    static constexpr std::string_view name(Algorithm a) { return a == Algorithm::sha256 ? "sha256" : "sha512"; }
    static constexpr size_t hex_length(Algorithm a) { return a == Algorithm::sha256 ? 64 : 128; }

private:
    Digest(Algorithm a, std::string hex) : algorithm_(a), hex_(std::move(hex)) {}
    // Foreign text for a message: short and without control characters.
    static std::string quoted(std::string_view text) {
        std::string out;
        for (char c : text.substr(0, 160)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
        return text.size() > 160 ? out + "..." : out;
    }

    Algorithm algorithm_;
    std::string hex_;
};

}  // namespace singularity
