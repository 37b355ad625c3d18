#include "oras/artifact.hpp"

#include <time.h>

#include <singularity/json.hpp>

namespace oras {

using singularity::Code;
using singularity::Error;
using singularity::json::printable;

namespace {

// A string as encoding/json writes it: '<', '>', '&', U+2028 and U+2029 escaped, bytes that are no UTF-8 replaced.
std::string quoted(std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out = "\"";
    const auto escape = [&](unsigned v) {
        out += "\\u";
        for (int shift = 12; shift >= 0; shift -= 4) out += digits[(v >> shift) & 15];
    };
    for (size_t i = 0; i < text.size();) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c < 0x80) {
            ++i;
            if (c == '"' || c == '\\')
                (out += '\\') += static_cast<char>(c);
            else if (c == '\n')
                out += "\\n";
            else if (c == '\r')
                out += "\\r";
            else if (c == '\t')
                out += "\\t";
            else if (c < 0x20 || c == '<' || c == '>' || c == '&')
                escape(c);
            else
                out += static_cast<char>(c);
            continue;
        }
        const size_t length = c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 ? 3 : 2;
        uint32_t value = c & (0xff >> (length + 1));
        bool fine = c >= 0xc2 && c < 0xf5 && i + length <= text.size();
        for (size_t k = 1; fine && k < length; ++k) {
            const auto next = static_cast<unsigned char>(text[i + k]);
            fine = (next & 0xc0) == 0x80;
            value = (value << 6) | (next & 0x3f);
        }
        fine = fine && !(length == 3 && (value < 0x800 || (value >= 0xd800 && value < 0xe000))) &&
               !(length == 4 && (value < 0x10000 || value > 0x10ffff));
        if (!fine) {
            out += "\\ufffd";
            ++i;
        } else if (value == 0x2028 || value == 0x2029) {
            escape(value);
            i += length;
        } else {
            out += text.substr(i, length);
            i += length;
        }
    }
    return out + "\"";
}

std::string pair(std::string_view key, std::string_view value) { return quoted(key) + ":" + quoted(value); }

}  // namespace

const sources::Descriptor& sif_layer(const sources::ImageManifest& manifest, const std::string& where) {
    if (manifest.layers.size() != 1) {
        for (const sources::Descriptor& l : manifest.layers)
            if (singularity::media_type::kind(l.media_type) == singularity::media_type::Kind::layer)
                throw Error(Code::unsupported, where + " is a container image and no SIF file", "Use docker:// for it.");
        throw Error(Code::unsupported, where + ": ORAS SIF image should have a single layer, found " +
                                           std::to_string(manifest.layers.size()));
    }
    const sources::Descriptor& layer = manifest.layers[0];
    if (layer.media_type == layer_type || layer.media_type == old_layer_type) return layer;
    const bool image = singularity::media_type::kind(layer.media_type) == singularity::media_type::Kind::layer;
    throw Error(Code::unsupported, where + ": its layer is no SIF file: invalid layer mediatype: " + printable(layer.media_type),
                image ? "It is a container image: use docker:// for it." : "");
}

std::string manifest_json(const Artifact& a) {
    const auto size = [](uint64_t n) { return quoted("size") + ":" + std::to_string(n); };
    std::string out = "{" + quoted("schemaVersion") + ":2," + pair("mediaType", manifest_type) + ",";
    out += quoted("config") + ":{" + pair("mediaType", config_type) + "," + size(config_bytes.size()) + "," +
           pair("digest", sources::hash(sources::Digest::Algorithm::sha256, config_bytes).text()) + "," +
           pair("data", "e30=") + "},";
    out += quoted("layers") + ":[{" + pair("mediaType", layer_type) + "," + size(a.size) + "," +
           pair("digest", a.digest.text()) + "," + quoted("annotations") + ":{" +
           pair("org.opencontainers.image.title", a.title) + "}}]";
    std::string annotations;
    for (const auto& [key, value] : a.annotations) annotations += (annotations.empty() ? "" : ",") + pair(key, value);
    if (!annotations.empty()) out += "," + quoted("annotations") + ":{" + annotations + "}";
    return out + "}";
}

std::string created_of_build_date(const std::string& label) {
    struct tm t {};
    const char* end = ::strptime(label.c_str(), "%A_%d_%B_%Y_%H:%M:%S_", &t);
    // Another zone than UTC cannot be told by its letters.
    if (!end || std::string_view(end) != "UTC") return {};
    char buffer[32];
    return std::string(buffer, ::strftime(buffer, sizeof buffer, "%Y-%m-%dT%H:%M:%SZ", &t));
}

}  // namespace oras
