#include "sif/listing.hpp"

// json.hpp brings RapidJSON in a form that sanitizers bear, so it comes first.
// clang-format off
#include <singularity/json.hpp>
#include <singularity/printable.hpp>
#include <rapidjson/prettywriter.h>
// clang-format on

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "sif/objects.hpp"

namespace sif {
namespace {

using Lines = std::vector<std::pair<std::string, std::string>>;
using Json = rapidjson::PrettyWriter<rapidjson::StringBuffer>;

// Control characters of a hostile name must not reach the terminal.
std::string printable(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size();) {
        if (const size_t length = singularity::printable_length(text, i)) {
            out.append(text, i, length);
            i += length;
            continue;
        }
        char hex[8];
        std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(text[i++]));
        out += hex;
    }
    return out;
}

std::string padded(std::string text, size_t width) {
    if (text.size() < width) text.append(width - text.size(), ' ');
    return text;
}

// "Name:" padded so that all values begin `gap` blanks after the longest name.
std::string aligned(const Lines& lines, std::string_view indent, size_t gap) {
    size_t width = 0;
    for (const auto& [name, value] : lines) width = std::max(width, name.size() + 1 + gap);
    std::string out;
    for (const auto& [name, value] : lines)
        out.append(indent).append(padded(name + ":", width)).append(value).append("\n");
    return out;
}

std::string launch_script(const Header& h) {
    std::string_view text(h.launch.data(), strnlen(h.launch.data(), h.launch.size()));
    if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    return std::string(text);
}

bool is_zero(const Header& h) {
    return std::all_of(h.uuid.begin(), h.uuid.end(), [](uint8_t b) { return b == 0; });
}

std::string group_text(const Descriptor& d) { return d.group_id() == 0 ? "NONE" : std::to_string(d.group_id()); }

std::string attribute(const singularity::PartInfo& part, std::string_view key) {
    for (const auto& [k, v] : part.attributes)
        if (k == key) return printable(v);
    return "";
}

std::string kind_text(const Descriptor& d) {
    const std::string type(type_text(d.type));
    const auto part = to_part(d);
    switch (static_cast<DataType>(d.type)) {
        case DataType::partition:
            return type + " (" + attribute(part, "fs") + "/" + attribute(part, "part") + "/" + attribute(part, "arch") +
                   ")";
        case DataType::signature: return type + " (" + attribute(part, "hash") + ")";
        case DataType::message: return type + " (" + attribute(part, "format") + "/" + attribute(part, "message") + ")";
        case DataType::sbom: return type + " (" + attribute(part, "format") + ")";
        default: return type;
    }
}

void member(Json& json, const char* name, std::string_view value) {
    json.Key(name);
    json.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
}

void time_member(Json& json, const char* name, int64_t seconds) {
    if (seconds == unset_time) return;
    json.Key(name);
    json.Int64(seconds);
}

void object(Json& json, const Descriptor& d) {
    const auto part = to_part(d);
    json.StartObject();
    json.Key("id"), json.Uint64(part.id);
    json.Key("group");
    if (part.group)
        json.Uint64(part.group);
    else
        json.Null();
    json.Key("link");
    if (part.link)
        json.Uint64(part.link);
    else
        json.Null();
    json.Key("linkIsGroup"), json.Bool(part.link_is_group);
    json.Key("offset"), json.Uint64(part.offset);
    json.Key("size"), json.Uint64(part.size);
    time_member(json, "created", d.created);
    time_member(json, "modified", d.modified);
    member(json, "type", part.type);
    member(json, "name", printable(part.name));
    json.Key("attributes"), json.StartObject();
    for (const auto& [key, value] : part.attributes) member(json, key.c_str(), printable(value));
    json.EndObject();
    json.EndObject();
}

template <class Fill>
std::string json_text(Fill fill) {
    rapidjson::StringBuffer buffer;
    Json json(buffer);
    json.SetIndent(' ', 2);
    fill(json);
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

}  // namespace

std::string readable_size(int64_t bytes) {
    if (bytes < 1024) return std::to_string(bytes) + " B";
    double value = static_cast<double>(bytes) / 1024;
    size_t unit = 0;
    for (int64_t n = bytes / 1024; n >= 1024; n /= 1024) {
        value /= 1024;
        ++unit;
    }
    char out[64];
    // Rounded by hand: libm would be mapped by every start.
    std::snprintf(out, sizeof out, "%llu %ciB", static_cast<unsigned long long>(value + 0.5), "KMGTPE"[unit]);
    return out;
}

std::string readable_time(int64_t seconds) {
    const auto t = static_cast<time_t>(seconds);
    struct tm parts {};
    char out[64];
    if (!::gmtime_r(&t, &parts) || std::strftime(out, sizeof out, "%Y-%m-%d %H:%M:%S +0000 UTC", &parts) == 0)
        return std::to_string(seconds);
    return out;
}

std::string list_text(const Container& container) {
    const std::string rule(78, '-');
    std::string out = rule + "\nID   |GROUP   |LINK    |SIF POSITION (start-end)  |TYPE\n" + rule + "\n";
    for (const Descriptor* d : container.objects()) {
        std::string link = "NONE";
        if (d->links_group())
            link = padded(std::to_string(d->link_id()), 4) + "(G)";
        else if (d->link_id() != 0)
            link = std::to_string(d->link_id());
        out += padded(std::to_string(d->id), 5) + "|" + padded(group_text(*d), 8) + "|" + padded(link, 8) + "|" +
               padded(std::to_string(d->offset) + "-" + std::to_string(d->offset + d->size), 26) + "|" + kind_text(*d) +
               "\n";
    }
    return out;
}

std::string header_text(const Container& container) {
    const Header& h = container.header();
    Lines lines;
    if (const std::string launch = launch_script(h); !launch.empty())
        lines.emplace_back("Launch Script", printable(launch));
    lines.emplace_back("Version", printable({h.version.data(), strnlen(h.version.data(), h.version.size())}));
    if (const auto arch = arch_name({h.arch.data(), h.arch.size()}); arch != "unknown")
        lines.emplace_back("Primary Architecture", std::string(arch));
    if (!is_zero(h)) lines.emplace_back("ID", uuid_text(h.uuid));
    if (h.created != unset_time) lines.emplace_back("Created At", readable_time(h.created));
    if (h.modified != unset_time) lines.emplace_back("Modified At", readable_time(h.modified));
    lines.emplace_back("Descriptors Free", std::to_string(h.free));
    lines.emplace_back("Descriptors Total", std::to_string(h.total));
    lines.emplace_back("Descriptors Offset", std::to_string(h.table_offset));
    lines.emplace_back("Descriptors Size", readable_size(h.table_size));
    lines.emplace_back("Data Offset", std::to_string(h.data_offset));
    lines.emplace_back("Data Size", readable_size(h.data_size));
    return aligned(lines, "", 1);
}

std::string info_text(const Descriptor& d) {
    const auto part = to_part(d);
    Lines lines;
    lines.emplace_back("Data Type", std::string(type_text(d.type)));
    lines.emplace_back("ID", std::to_string(d.id));
    lines.emplace_back("Group ID", group_text(d));
    lines.emplace_back("Linked ID",
                       d.link_id() == 0 ? "NONE" : std::to_string(d.link_id()) + (d.links_group() ? " (G)" : ""));
    lines.emplace_back("Offset", std::to_string(d.offset));
    lines.emplace_back("Size", std::to_string(d.size));
    if (d.created != unset_time) lines.emplace_back("Created At", readable_time(d.created));
    if (d.modified != unset_time) lines.emplace_back("Modified At", readable_time(d.modified));
    if (!part.name.empty()) lines.emplace_back("Name", printable(part.name));
    switch (static_cast<DataType>(d.type)) {
        case DataType::partition:
            lines.emplace_back("Filesystem Type", attribute(part, "fs"));
            lines.emplace_back("Partition Type", attribute(part, "part"));
            lines.emplace_back("Architecture", attribute(part, "arch"));
            break;
        case DataType::signature:
            lines.emplace_back("Hash Type", attribute(part, "hash"));
            if (const std::string entity = attribute(part, "entity"); !entity.empty())
                lines.emplace_back("Entity", entity);
            break;
        case DataType::message:
            lines.emplace_back("Format Type", attribute(part, "format"));
            lines.emplace_back("Message Type", attribute(part, "message"));
            break;
        case DataType::sbom: lines.emplace_back("Format", attribute(part, "format")); break;
        case DataType::oci_index:
        case DataType::oci_blob: lines.emplace_back("Digest", attribute(part, "digest")); break;
        default: break;
    }
    return aligned(lines, "  ", 2);
}

std::string list_json(const Container& container) {
    return json_text([&](Json& json) {
        json.StartObject();
        json.Key("objects"), json.StartArray();
        for (const Descriptor* d : container.objects()) object(json, *d);
        json.EndArray();
        json.EndObject();
    });
}

std::string header_json(const Container& container) {
    const Header& h = container.header();
    return json_text([&](Json& json) {
        json.StartObject();
        member(json, "launchScript", printable(launch_script(h)));
        member(json, "version", printable({h.version.data(), strnlen(h.version.data(), h.version.size())}));
        member(json, "arch", arch_name({h.arch.data(), h.arch.size()}));
        member(json, "id", uuid_text(h.uuid));
        time_member(json, "created", h.created);
        time_member(json, "modified", h.modified);
        json.Key("descriptorsFree"), json.Int64(h.free);
        json.Key("descriptorsTotal"), json.Int64(h.total);
        json.Key("descriptorsOffset"), json.Int64(h.table_offset);
        json.Key("descriptorsSize"), json.Int64(h.table_size);
        json.Key("dataOffset"), json.Int64(h.data_offset);
        json.Key("dataSize"), json.Int64(h.data_size);
        json.EndObject();
    });
}

std::string info_json(const Descriptor& d) {
    return json_text([&](Json& json) { object(json, d); });
}

}  // namespace sif
