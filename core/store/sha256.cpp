#include "store/sha256.hpp"

#include <singularity/sha2.hpp>

namespace sg {

using singularity::Digest;

std::string sha256_hex(std::string_view bytes) { return singularity::digest_of(Digest::Algorithm::sha256, bytes).hex(); }

}  // namespace sg
