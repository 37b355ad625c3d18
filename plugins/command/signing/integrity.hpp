// What a signature of a SIF says, and whether an image agrees (github.com/apptainer/sif, pkg/integrity).
#pragma once
#include <singularity/image.hpp>

#include <optional>
#include <set>

namespace signing {

using singularity::Code;
using singularity::Error;
using singularity::ForeignImage;
using singularity::Host;

// Lower-case hex of the digest of `bytes`, by OpenSSL's name of the algorithm ("SHA256").
std::string digest_hex(const char* algorithm, std::string_view bytes);
std::string digest_hex(const char* algorithm, singularity::Stream& bytes);

// One line of compact JSON over every object of the group, or over `only` of them. Code::invalid when there is none.
std::string signed_message(const ForeignImage& image, uint64_t group, const std::set<uint64_t>& only, const Host& host);

// Which ids a message covers after it was checked against the image; throws Code::corrupt with the reference's texts.
// `only` empty: the whole group must be covered, no less and no more.
std::set<uint64_t> check_message(const ForeignImage& image, uint64_t group, std::string_view message,
                                 const std::set<uint64_t>& only, const Host& host);

// A legacy message ("SIFHASH:" and a hex digest): nullopt when `message` is none.
std::optional<std::string> legacy_digest(std::string_view message);
// Compares it with the concatenated bytes of `ids`; `algorithm` as the signature's attribute says ("SHA384").
void check_legacy(const ForeignImage& image, const std::vector<uint64_t>& ids, const std::string& digest,
                  const std::string& algorithm, const Host& host);

}  // namespace signing
