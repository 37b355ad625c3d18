// Hashing of small documents (manifests, indexes, configs). Layers are hashed by the host.
#pragma once
#include <singularity/sha2.hpp>

namespace sources {

using singularity::Code;
using singularity::Digest;
using singularity::Error;

inline Digest hash(Digest::Algorithm algorithm, std::string_view bytes) { return singularity::digest_of(algorithm, bytes); }

// Throws Code::corrupt unless `bytes` have this digest; `where` names what holds them.
void verify(const Digest& digest, std::string_view bytes, std::string_view where);

}  // namespace sources
