#include "family/manifest.hpp"

#include <singularity/json.hpp>

namespace sources {
namespace {

namespace json = singularity::json;
namespace media_type = singularity::media_type;
using media_type::Kind;

constexpr size_t max_entries = 100000;

// Standard base64 with padding; nullopt when it is none.
std::optional<std::string> decode_base64(std::string_view text) {
    std::string out;
    uint32_t bits = 0;
    int have = 0;
    size_t padding = 0;
    for (char c : text) {
        uint32_t v;
        if (c >= 'A' && c <= 'Z')
            v = static_cast<uint32_t>(c - 'A');
        else if (c >= 'a' && c <= 'z')
            v = static_cast<uint32_t>(c - 'a' + 26);
        else if (c >= '0' && c <= '9')
            v = static_cast<uint32_t>(c - '0' + 52);
        else if (c == '+')
            v = 62;
        else if (c == '/')
            v = 63;
        else if (c == '=') {
            ++padding;
            continue;
        } else
            return std::nullopt;
        if (padding > 0) return std::nullopt;
        bits = (bits << 6) | v;
        if ((have += 6) >= 8) {
            have -= 8;
            out += static_cast<char>((bits >> have) & 0xff);
        }
    }
    return padding <= 2 && text.size() % 4 == 0 ? std::optional(out) : std::nullopt;
}

Descriptor parse_descriptor(const json::Value& v, const std::string& where) {
    if (!v.is_object()) v.fail(v.present() ? "is not a descriptor" : "is missing");
    const json::Value digest = v["digest"];
    const auto parsed = Digest::try_parse(digest.text());
    if (!parsed) digest.fail("is \"" + json::printable(digest.text()) + "\", which is no sha256 or sha512 digest");
    Descriptor d{media_type::essence(v["mediaType"].text_or()), *parsed, v["size"].size(), {}, {}, {}, {}, {}};
    for (const auto& [key, value] : v["annotations"].members()) d.annotations.emplace_back(key, value.text_or());
    d.urls = v["urls"].texts();
    d.artifact_type = v["artifactType"].text_or();
    if (const json::Value p = v["platform"]; p.present())
        d.platform = Platform{p["os"].text_or(), p["architecture"].text_or(), p["variant"].text_or()};
    if (const json::Value data = v["data"]; data.present()) {
        d.data = decode_base64(data.text());
        if (!d.data || d.data->size() != d.size)
            throw Error(Code::corrupt, where + ": the content embedded for " + d.digest.text() + " is damaged");
    }
    return d;
}

Index index_of(const json::Value& root, const std::string& where) {
    Index out;
    const auto entries = root["manifests"].list();
    if (entries.size() > max_entries)
        throw Error(Code::limit, where + " lists more than " + std::to_string(max_entries) + " manifests");
    for (const json::Value& m : entries) out.manifests.push_back(parse_descriptor(m, where));
    return out;
}

ImageManifest manifest_of(const json::Value& root, const std::string& where) {
    ImageManifest out{parse_descriptor(root["config"], where), {}, root["artifactType"].text_or()};
    const auto layers = root["layers"].list();
    if (layers.size() > max_layers)
        throw Error(Code::limit, where + " has more than " + std::to_string(max_layers) + " layers");
    for (const json::Value& l : layers) out.layers.push_back(parse_descriptor(l, where));
    return out;
}

[[noreturn]] void refuse_schema1(const std::string& where) {
    throw Error(Code::unsupported, where + " is a manifest of Docker's schema 1, which is out of use since 2017",
                "Push the image again with a current tool, or convert it: skopeo copy --format v2s2 ...");
}

}  // namespace

std::string Platform::text() const {
    std::string out = json::printable(os.empty() ? "any" : os, 40) + "/" +
                      json::printable(architecture.empty() ? "any" : architecture, 40);
    if (!variant.empty()) out += "/" + json::printable(variant, 40);
    return out;
}

std::string Descriptor::annotation(std::string_view key) const {
    for (const auto& [k, v] : annotations)
        if (k == key) return v;
    return {};
}

bool Descriptor::is_attestation() const {
    return annotation("vnd.docker.reference.type") == "attestation-manifest" ||
           (platform && platform->os == "unknown" && platform->architecture == "unknown");
}

std::variant<Index, ImageManifest> parse_body(std::string_view bytes, std::string_view declared,
                                              const std::string& where) {
    const json::Document document(bytes, where, max_document);
    const json::Value root = document.root();
    if (!root.is_object()) root.fail("is not an object");

    const bool has_manifests = root["manifests"].present();
    const bool has_layers = root["layers"].present(), has_config = root["config"].present();
    const bool has_fs_layers = root["fsLayers"].present();
    if ((has_manifests && (has_layers || has_config)) || (has_fs_layers && (has_manifests || has_layers || has_config)))
        throw Error(Code::invalid, where + " is ambiguous: it could be read as a manifest and as an index",
                    "No honest tool writes such a document: do not use this image.");

    const int64_t version = root["schemaVersion"].integer_or(2);
    if (version == 1 || has_fs_layers) refuse_schema1(where);
    if (version != 2)
        throw Error(Code::unsupported, where + " has schema version " + std::to_string(version) + "; only 2 is known");

    std::string type = media_type::essence(root["mediaType"].text_or());
    const std::string said = media_type::essence(declared);
    if (media_type::kind(type) == Kind::schema1 || media_type::kind(said) == Kind::schema1) refuse_schema1(where);
    const bool said_is_known = media_type::kind(said) == Kind::index || media_type::kind(said) == Kind::manifest;
    if (!type.empty() && said_is_known && type != said)
        throw Error(Code::invalid, where + " says that it is \"" + json::printable(type) + "\", but is listed as \"" +
                                       json::printable(said) + "\"");
    if (type.empty()) type = said_is_known ? said : "";
    if (type.empty()) type = has_manifests ? std::string(media_type::oci_index) : std::string(media_type::oci_manifest);

    switch (media_type::kind(type)) {
        case Kind::index:
            if (has_layers || has_config)
                throw Error(Code::invalid, where + " is listed as an index but is a manifest");
            return index_of(root, where);
        case Kind::manifest:
            if (has_manifests) throw Error(Code::invalid, where + " is listed as a manifest but is an index");
            if (!has_config && !has_layers)
                throw Error(Code::invalid,
                            where + " is neither a manifest nor an index: it has no layers and lists no manifests");
            return manifest_of(root, where);
        default:
            throw Error(Code::unsupported,
                        where + " is of type \"" + json::printable(type) + "\", which is not an image");
    }
}

Index parse_index(std::string_view bytes, const std::string& where) {
    auto body = parse_body(bytes, media_type::oci_index, where);
    if (auto* index = std::get_if<Index>(&body)) return std::move(*index);
    throw Error(Code::invalid, where + " is not an index of manifests");
}

void require_image(const ImageManifest& m, const std::string& where) {
    const Kind config = media_type::kind(m.config.media_type);
    bool any_layer = false;
    // Of a kind that belongs to an image, whether we can read it or not.
    for (const Descriptor& l : m.layers)
        any_layer = any_layer || l.media_type.find("vnd.oci.image.layer.") != std::string::npos ||
                    l.media_type.find("vnd.docker.image.rootfs.") != std::string::npos;
    // The first tools of schema 2 gave the config no type of its own; its layers then tell. A config alone does not
    // make an image of other things.
    const bool untyped = m.config.media_type.empty() || m.config.media_type == "application/octet-stream";
    const bool image = config == Kind::config ? any_layer || m.layers.empty() : untyped && any_layer;
    if (!image) {
        std::string type = m.artifact_type;
        if (type.empty()) type = m.config.media_type;
        if (m.artifact_type.empty() && !m.layers.empty() &&
            (type.empty() || config == Kind::empty || config == Kind::config))
            type = m.layers[0].media_type;
        const bool sif = type.find("sylabs.sif") != std::string::npos || type.find("singularity") != std::string::npos;
        throw Error(Code::unsupported,
                    where + " is an artifact of type \"" + json::printable(type) +
                        "\": no extractable OCI/Docker tar layers found in this image",
                    sif ? "It holds a SIF file: use oras:// for it."
                        : "Only container images can be converted; other artifacts are read with oras://.");
    }
    for (const Descriptor& l : m.layers) {
        const Kind k = media_type::kind(l.media_type);
        if (k == Kind::layer) continue;
        if (k == Kind::encrypted_layer)
            throw Error(Code::unsupported, where + ": layer " + l.digest.text() + " is encrypted",
                        "Decrypt the image first: skopeo copy --decryption-key KEY ...");
        throw Error(Code::unsupported, where + ": layer " + l.digest.text() + " has the unknown type \"" +
                                           json::printable(l.media_type) + "\"");
    }
}

ConfigFacts parse_config(std::string_view bytes, const std::string& where) {
    const json::Document document(bytes, where, max_document);
    const json::Value root = document.root();
    if (!root.is_object()) root.fail("is not an object");
    ConfigFacts out;
    out.platform = {root["os"].text_or(), root["architecture"].text_or(), root["variant"].text_or()};
    for (const json::Value& id : root["rootfs"]["diff_ids"].list())
        out.diff_ids.push_back(Digest::parse(id.text(), where).text());
    return out;
}

}  // namespace sources
