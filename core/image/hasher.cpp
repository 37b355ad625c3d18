#include "image/hasher.hpp"

#include <openssl/evp.h>

#include <algorithm>

#include "base/error.hpp"

namespace sg {

using singularity::Slice;

struct Hasher::State {
    std::string algorithm;
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    ~State() { EVP_MD_CTX_free(context); }
};

Hasher::Hasher(std::string_view algorithm) : state_(std::make_unique<State>()) {
    algorithm = algorithm.substr(0, algorithm.find(':'));
    const EVP_MD* kind = algorithm == "sha256" ? EVP_sha256() : algorithm == "sha512" ? EVP_sha512() : nullptr;
    if (!kind)
        throw Error(Code::unsupported, "digests of the kind '" + std::string(algorithm) + "' are not known",
                    "sha256 and sha512 are");
    state_->algorithm = algorithm;
    if (!state_->context || EVP_DigestInit_ex(state_->context, kind, nullptr) != 1)
        throw Error(Code::internal, "cannot begin a digest");
}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(const void* data, uint64_t size) {
    if (EVP_DigestUpdate(state_->context, data, size) != 1) throw Error(Code::internal, "cannot compute a digest");
}

void Hasher::update(const Slice& slice) {
    if (!slice.is_hole()) return update(slice.data(), slice.size());
    static constexpr uint8_t zeros[65536] = {};
    for (uint64_t left = slice.size(); left > 0;) {
        const uint64_t n = std::min<uint64_t>(left, sizeof zeros);
        update(zeros, n);
        left -= n;
    }
}

std::string Hasher::finish() {
    uint8_t raw[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_DigestFinal_ex(state_->context, raw, &size) != 1) throw Error(Code::internal, "cannot finish a digest");
    std::string out = state_->algorithm + ":";
    for (unsigned i = 0; i < size; ++i) {
        out.push_back("0123456789abcdef"[raw[i] >> 4]);
        out.push_back("0123456789abcdef"[raw[i] & 15]);
    }
    return out;
}

}  // namespace sg
