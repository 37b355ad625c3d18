#include "sif/objects.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace sif {

using singularity::Code;
using singularity::Error;
using singularity::PartInfo;

namespace {

constexpr size_t fingerprint_bytes = 20;

std::string fingerprint(const Descriptor& d) {
    std::string out;
    bool any = false;
    for (size_t i = 0; i < fingerprint_bytes; ++i) {
        const uint8_t byte = d.extra[4 + i];
        any = any || byte != 0;
        char hex[3];
        std::snprintf(hex, sizeof hex, "%02X", byte);
        out += hex;
    }
    return any ? out : std::string();
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

void set_fingerprint(Descriptor& d, const std::string& text) {
    bool good = text.size() == 2 * fingerprint_bytes;
    for (size_t i = 0; good && i < fingerprint_bytes; ++i) {
        const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        good = high >= 0 && low >= 0;
        if (good) d.extra[4 + i] = static_cast<uint8_t>(high * 16 + low);
    }
    if (!good) throw Error(Code::invalid, "'" + text + "' is no key fingerprint: 40 hexadecimal digits are needed");
}

int64_t sdk_time(int64_t stored) { return stored == unset_time ? INT64_MIN : stored; }

class Attributes {
public:
    explicit Attributes(const PartInfo& part) : part_(part) {}
    const std::string* find(std::string_view key) const {
        for (const auto& [k, v] : part_.attributes)
            if (k == key) return &v;
        return nullptr;
    }
    const std::string& need(std::string_view key) const {
        const std::string* value = find(key);
        if (!value) throw Error(Code::invalid, "an object of type " + part_.type + " needs its " + std::string(key));
        return *value;
    }
    int32_t number(std::string_view key, std::optional<int32_t> (*value_of)(std::string_view)) const {
        const std::string& text = need(key);
        const auto value = value_of(text);
        if (!value)
            throw Error(Code::invalid,
                        "'" + text + "' is not known as " + std::string(key) + " of an object of type " + part_.type);
        return *value;
    }

private:
    const PartInfo& part_;
};

}  // namespace

PartInfo to_part(const Descriptor& d) {
    PartInfo p;
    p.id = d.id;
    p.group = d.group_id();
    p.link = d.link_id();
    p.link_is_group = d.links_group();
    p.offset = static_cast<uint64_t>(d.offset);
    p.size = static_cast<uint64_t>(d.size);
    p.created = sdk_time(d.created);
    p.modified = sdk_time(d.modified);
    p.type = type_word(d.type);
    p.name = d.name_text();
    const auto put = [&](const char* key, std::string_view value) {
        p.attributes.emplace_back(key, std::string(value));
    };
    switch (static_cast<DataType>(d.type)) {
        case DataType::partition:
            put("fs", fs_text(d.fs_type()));
            put("part", part_text(d.part_type()));
            put("arch", arch_name(d.arch_code()));
            break;
        case DataType::signature:
            put("hash", hash_text(d.extra_number(0)));
            if (const std::string entity = fingerprint(d); !entity.empty()) put("entity", entity);
            break;
        case DataType::message:
            put("format", format_text(d.extra_number(0)));
            put("message", message_text(d.extra_number(4)));
            break;
        case DataType::sbom: put("format", sbom_text(d.extra_number(0))); break;
        case DataType::oci_index:
        case DataType::oci_blob: {
            const auto* text = reinterpret_cast<const char*>(d.extra.data());
            put("digest", {text, strnlen(text, d.extra.size())});
            break;
        }
        default:
            if (p.type == "unknown") {
                char code[16];
                std::snprintf(code, sizeof code, "0x%X", static_cast<unsigned>(d.type));
                put("code", code);
            }
            break;
    }
    return p;
}

ObjectSpec to_object(const PartInfo& part) {
    ObjectSpec spec;
    Descriptor& d = spec.descriptor;
    const auto type = type_value(part.type);
    if (!type) throw Error(Code::invalid, "'" + part.type + "' is no type of SIF object");
    d.type = *type;
    if (part.group >= group_mask || part.link >= group_mask)
        throw Error(Code::invalid, "group and link of a SIF object must be below " + std::to_string(group_mask));
    d.group = static_cast<uint32_t>(part.group) | group_mask;
    d.link = static_cast<uint32_t>(part.link) | (part.link_is_group && part.link != 0 ? group_mask : 0);
    d.created = d.modified = part.created == INT64_MIN ? unset_time : part.created;
    if (part.name.size() > d.name.size())
        throw Error(Code::invalid, "the name of a SIF object has at most 128 bytes: " + part.name);
    std::copy(part.name.begin(), part.name.end(), d.name.begin());
    spec.alignment = part.alignment;
    if (spec.alignment > (1u << 30)) throw Error(Code::invalid, "an alignment of more than 1 GiB makes no sense");

    const Attributes attributes(part);
    switch (static_cast<DataType>(d.type)) {
        case DataType::partition: {
            d.set_extra_number(0, attributes.number("fs", fs_value));
            d.set_extra_number(4, attributes.number("part", part_value));
            const auto code = arch_code(attributes.need("arch"));
            if (!code)
                throw Error(Code::invalid, "'" + attributes.need("arch") + "' is no architecture that a SIF can name");
            std::copy(code->begin(), code->end(), d.extra.begin() + 8);
            break;
        }
        case DataType::signature:
            d.set_extra_number(0, attributes.number("hash", hash_value));
            if (const std::string* entity = attributes.find("entity"); entity && !entity->empty())
                set_fingerprint(d, *entity);
            break;
        case DataType::message:
            d.set_extra_number(0, attributes.number("format", format_value));
            d.set_extra_number(4, attributes.number("message", message_value));
            break;
        case DataType::sbom: d.set_extra_number(0, attributes.number("format", sbom_value)); break;
        case DataType::oci_index:
        case DataType::oci_blob: {
            const std::string& digest = attributes.need("digest");
            if (digest.size() >= d.extra.size()) throw Error(Code::invalid, "the digest is too long: " + digest);
            std::copy(digest.begin(), digest.end(), d.extra.begin());
            break;
        }
        default: break;
    }
    return spec;
}

}  // namespace sif
