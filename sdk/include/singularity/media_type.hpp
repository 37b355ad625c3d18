// SPDX-License-Identifier: BSD-3-Clause
// media_type.hpp: the media types of OCI and Docker images (image-spec, media-types.md) and what they mean.
#pragma once
#include <string>
#include <string_view>

namespace singularity::media_type {

inline constexpr std::string_view oci_index = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view oci_manifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view oci_config = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view oci_layer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view oci_layer_gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view oci_layer_zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view oci_empty = "application/vnd.oci.empty.v1+json";
inline constexpr std::string_view docker_list = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view docker_manifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view docker_schema1 = "application/vnd.docker.distribution.manifest.v1+json";
inline constexpr std::string_view docker_schema1_signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
inline constexpr std::string_view docker_config = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view docker_layer = "application/vnd.docker.image.rootfs.diff.tar";
inline constexpr std::string_view docker_layer_gzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
inline constexpr std::string_view docker_layer_zstd = "application/vnd.docker.image.rootfs.diff.tar.zstd";

enum class Kind { index, manifest, schema1, config, layer, encrypted_layer, empty, other };

// Without parameters ("; charset=utf-8"), blanks and upper case.
inline std::string essence(std::string_view type) {
    type = type.substr(0, type.find(';'));
    while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
    while (!type.empty() && (type.front() == ' ' || type.front() == '\t')) type.remove_prefix(1);
    std::string out(type);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

// What `type` (an essence) is. A layer is any tar of an image's file system, distributable or not; how it is
// compressed is told by its first bytes and not by its type.
inline Kind kind(std::string_view type) {
    if (type == oci_index || type == docker_list) return Kind::index;
    if (type == oci_manifest || type == docker_manifest) return Kind::manifest;
    if (type == docker_schema1 || type == docker_schema1_signed) return Kind::schema1;
    if (type == oci_config || type == docker_config) return Kind::config;
    if (type == oci_empty) return Kind::empty;
    constexpr std::string_view encrypted = "+encrypted";
    const bool locked = type.size() > encrypted.size() && type.substr(type.size() - encrypted.size()) == encrypted;
    if (locked) type.remove_suffix(encrypted.size());
    for (std::string_view base : {std::string_view("application/vnd.oci.image.layer.v1.tar"),
                                  std::string_view("application/vnd.oci.image.layer.nondistributable.v1.tar"),
                                  std::string_view("application/vnd.docker.image.rootfs.diff.tar"),
                                  std::string_view("application/vnd.docker.image.rootfs.foreign.diff.tar")}) {
        if (type.substr(0, base.size()) != base) continue;
        const std::string_view rest = type.substr(base.size());
        if (rest.empty() || rest == "+gzip" || rest == "+zstd" || rest == ".gzip" || rest == ".zstd")
            return locked ? Kind::encrypted_layer : Kind::layer;
    }
    return Kind::other;
}

// May only be fetched from its own URLs, not from a registry.
inline bool is_foreign_layer(std::string_view type) {
    return kind(type) == Kind::layer && (type.find(".nondistributable.") != std::string_view::npos ||
                                         type.find(".foreign.") != std::string_view::npos);
}

}  // namespace singularity::media_type
