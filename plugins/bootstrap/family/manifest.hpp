// Manifests and indexes (OCI image-spec, descriptor.md, manifest.md, image-index.md; Docker's schema 2): from bytes
// to checked values. Bodies that could be read as either kind are refused (CVE-2021-41190).
#pragma once
#include <cstdint>
#include <singularity/media_type.hpp>
#include <utility>
#include <variant>
#include <vector>

#include "family/hash.hpp"

namespace sources {

inline constexpr uint64_t max_document = 4 << 20;  // bytes of a manifest, index or config, as in containers/image
inline constexpr size_t max_layers = 10000;

struct Platform {
    std::string os, architecture, variant;
    // As people write it: "linux/arm/v7".
    std::string text() const;
    friend bool operator==(const Platform&, const Platform&) = default;
};

struct Descriptor {
    std::string media_type;  // without parameters, lower case
    Digest digest;
    uint64_t size = 0;
    std::vector<std::pair<std::string, std::string>> annotations;
    std::vector<std::string> urls;
    std::string artifact_type;
    std::optional<Platform> platform;
    std::optional<std::string> data;  // embedded content (decoded), when it has the right size

    std::string annotation(std::string_view key) const;  // "" when absent
    bool is_attestation() const;                         // BuildKit's provenance and SBOM entries
};

struct Index {
    std::vector<Descriptor> manifests;
};

struct ImageManifest {
    Descriptor config;
    std::vector<Descriptor> layers;  // base first
    std::string artifact_type;
};

// `declared` is the type that a descriptor or HTTP header gave, "" when none did; it must not contradict the body.
// `where` names the document in messages. Throws Code::invalid, corrupt, limit; Code::unsupported for schema 1.
std::variant<Index, ImageManifest> parse_body(std::string_view bytes, std::string_view declared,
                                              const std::string& where);
// The same for a body that must be an index (index.json).
Index parse_index(std::string_view bytes, const std::string& where);

// Throws Code::unsupported unless the manifest is an image whose layers can be read: says what it is instead
// (an artifact of type T, encrypted layers, ...).
void require_image(const ImageManifest& manifest, const std::string& where);

// What the config document says that a source must know; the host reads the rest.
struct ConfigFacts {
    Platform platform;
    std::vector<std::string> diff_ids;
};
ConfigFacts parse_config(std::string_view bytes, const std::string& where);

}  // namespace sources
