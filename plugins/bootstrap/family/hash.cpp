#include "family/hash.hpp"

#include <openssl/evp.h>

namespace sources {

Digest hash(Digest::Algorithm algorithm, std::string_view bytes) {
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    const EVP_MD* md = algorithm == Digest::Algorithm::sha256 ? EVP_sha256() : EVP_sha512();
    if (EVP_Digest(bytes.data(), bytes.size(), out, &size, md, nullptr) != 1)
        throw Error(Code::internal, "libcrypto cannot compute a " + std::string(Digest::name(algorithm)) + " digest");
    return Digest::of_bytes(algorithm, out, size);
}

void verify(const Digest& digest, std::string_view bytes, std::string_view where) {
    const Digest found = hash(digest.algorithm(), bytes);
    if (found == digest) return;
    throw Error(Code::corrupt, std::string(where) + ": the bytes of " + digest.text() + " do not match their digest",
                "The file was changed or damaged after it was written: fetch or save the image again.",
                "their digest is " + found.text());
}

}  // namespace sources
