#include "store/sha256.hpp"

// Deprecated, and here on purpose: the functions of today initialise the whole library first (its configuration file,
// its providers), a millisecond that each start from a URI would pay to make the name of one record.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

namespace sg {

std::string sha256_hex(std::string_view bytes) {
    SHA256_CTX context;
    unsigned char sum[SHA256_DIGEST_LENGTH];
    SHA256_Init(&context);
    SHA256_Update(&context, bytes.data(), bytes.size());
    SHA256_Final(sum, &context);
    static const char* digits = "0123456789abcdef";
    std::string out;
    for (const unsigned char c : sum) out.append({digits[c >> 4], digits[c & 15]});
    return out;
}

}  // namespace sg
