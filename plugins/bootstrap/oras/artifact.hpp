// A SIF file as an OCI artifact (OCI image-spec, manifest.md, on artifacts): its manifest, as Apptainer has it.
#pragma once
#include <map>

#include "family/manifest.hpp"

namespace oras {

inline constexpr std::string_view manifest_type = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view config_type = "application/vnd.sylabs.sif.config.v1+json";
inline constexpr std::string_view layer_type = "application/vnd.sylabs.sif.layer.v1.sif";
inline constexpr std::string_view old_layer_type = "appliciation/vnd.sylabs.sif.layer.tar";  // before 3.7, with its typo
inline constexpr std::string_view config_bytes = "{}";

// The one layer that is a SIF file. Throws Code::unsupported when the manifest is something else.
const sources::Descriptor& sif_layer(const sources::ImageManifest& manifest, const std::string& where);

struct Artifact {
    sources::Digest digest;  // of the SIF file
    uint64_t size = 0;
    std::string title;                               // its base name
    std::map<std::string, std::string> annotations;  // of the manifest
};

// Byte for byte what Go's encoding/json makes of it, so that equal images have equal manifests.
std::string manifest_json(const Artifact& artifact);

// "Thursday_6_December_2018_17:29:48_UTC" -> "2018-12-06T17:29:48Z"; "" when it is no such date.
std::string created_of_build_date(const std::string& label);

}  // namespace oras
