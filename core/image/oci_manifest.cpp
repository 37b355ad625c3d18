#include "image/oci_manifest.hpp"

#include <singularity/json.hpp>
#include <singularity/media_type.hpp>

#include "base/error.hpp"

namespace sg {

namespace {

namespace json = singularity::json;
namespace media_type = singularity::media_type;

// OCI's name for a type of Docker's; "" for any other (image-spec, media-types.md, "Compatibility Matrix").
std::string oci_type(const std::string& type) {
    if (type == media_type::docker_manifest) return std::string(media_type::oci_manifest);
    if (type == media_type::docker_config) return std::string(media_type::oci_config);
    struct Family {
        std::string_view docker, oci;
    };
    for (const Family& f : {Family{media_type::docker_layer, media_type::oci_layer},
                            Family{"application/vnd.docker.image.rootfs.foreign.diff.tar",
                                   "application/vnd.oci.image.layer.nondistributable.v1.tar"}}) {
        if (type.compare(0, f.docker.size(), f.docker) != 0) continue;
        const std::string rest = type.substr(f.docker.size());
        if (rest.empty()) return std::string(f.oci);
        if (rest == ".gzip" || rest == ".zstd") return std::string(f.oci) + "+" + rest.substr(1);
    }
    return {};
}

std::string quoted(const std::string& text) { return "\"" + text + "\""; }  // of our own constants

// A descriptor with its type translated; `changed` is set when it was one of Docker's.
std::string descriptor(const json::Value& value, bool& changed) {
    std::string out = "{";
    for (const auto& [key, member] : value.members()) {
        // Only the type may be another one: what else a descriptor says stays.
        const std::string type = key == "mediaType" ? oci_type(member.text_or()) : std::string();
        if (!type.empty()) changed = true;
        rapidjson::StringBuffer name;
        rapidjson::Writer<rapidjson::StringBuffer> writer(name);
        writer.String(key.data(), static_cast<rapidjson::SizeType>(key.size()));
        out += (out.size() > 1 ? "," : "") + std::string(name.GetString(), name.GetSize()) + ":" + (type.empty() ? member.dump() : quoted(type));
    }
    return out + "}";
}

}  // namespace

std::string as_oci_manifest(std::string_view manifest) {
    const json::Document document(manifest, "the image's manifest");
    const json::Value root = document.root();
    bool changed = !oci_type(root["mediaType"].text_or()).empty();
    std::string out = "{\"schemaVersion\":2,\"mediaType\":" + quoted(std::string(media_type::oci_manifest)) +
                      ",\"config\":" + descriptor(root["config"], changed) + ",\"layers\":[";
    bool first = true;
    for (const auto& layer : root["layers"].list()) {
        out += (first ? "" : ",") + descriptor(layer, changed);
        first = false;
    }
    out += "]";
    if (const auto annotations = root["annotations"]; annotations.present()) out += ",\"annotations\":" + annotations.dump();
    out += "}";
    return changed ? out : std::string(manifest);
}

}  // namespace sg
