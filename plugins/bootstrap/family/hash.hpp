// Hashing of small documents (manifests, indexes, configs), by libcrypto. Layers are hashed by the host.
#pragma once
#include <singularity/digest.hpp>

namespace sources {

using singularity::Code;
using singularity::Digest;
using singularity::Error;

Digest hash(Digest::Algorithm algorithm, std::string_view bytes);

// Throws Code::corrupt unless `bytes` have this digest; `where` names what holds them.
void verify(const Digest& digest, std::string_view bytes, std::string_view where);

}  // namespace sources
