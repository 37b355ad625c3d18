#include "store/sha256.hpp"

#include <openssl/evp.h>

#include "base/error.hpp"

namespace sg {

std::string sha256_hex(std::string_view bytes) {
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), sum, &length, EVP_sha256(), nullptr) != 1)
        throw Error(Code::internal, "SHA-256 is not available");
    static const char* digits = "0123456789abcdef";
    std::string out;
    for (unsigned i = 0; i < length; ++i) out.append({digits[sum[i] >> 4], digits[sum[i] & 15]});
    return out;
}

}  // namespace sg
