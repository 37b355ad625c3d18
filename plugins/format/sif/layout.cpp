#include "sif/layout.hpp"

#include <algorithm>
#include <cstring>

namespace sif {
namespace {

// Walks over packed little-endian fields; the caller has checked the size.
class Reader {
public:
    explicit Reader(const uint8_t* at) : at_(at) {}
    template <size_t N, class T>
    void bytes(std::array<T, N>& to) {
        std::memcpy(to.data(), at_, N);
        at_ += N;
    }
    template <class T>
    void number(T& to) {
        uint64_t value = 0;
        for (size_t i = 0; i < sizeof(T); ++i) value |= static_cast<uint64_t>(at_[i]) << (8 * i);
        to = static_cast<T>(value);
        at_ += sizeof(T);
    }

private:
    const uint8_t* at_;
};

class Packer {
public:
    explicit Packer(uint8_t* at) : at_(at) {}
    template <size_t N, class T>
    void bytes(const std::array<T, N>& from) {
        std::memcpy(at_, from.data(), N);
        at_ += N;
    }
    template <class T>
    void number(T from) {
        const auto value = static_cast<uint64_t>(from);
        for (size_t i = 0; i < sizeof(T); ++i) at_[i] = static_cast<uint8_t>(value >> (8 * i));
        at_ += sizeof(T);
    }

private:
    uint8_t* at_;
};

struct Name {
    int32_t value;
    std::string_view text;
};

// "SHA-256", "sha256" and "Sha 256" are the same to a person.
std::string folded(std::string_view s) {
    std::string out;
    for (const char c : s)
        if (c != '-' && c != '_' && c != ' ') out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return out;
}

template <size_t N>
std::string_view find_text(const Name (&names)[N], int32_t value) {
    for (const Name& n : names)
        if (n.value == value) return n.text;
    return "Unknown";
}

// A text of the table, or the number of one of its rows.
template <size_t N>
std::optional<int32_t> find_value(const Name (&names)[N], std::string_view text) {
    const std::string wanted = folded(text);
    for (const Name& n : names)
        if (folded(n.text) == wanted || std::to_string(n.value) == wanted) return n.value;
    return std::nullopt;
}

constexpr Name type_texts[] = {
    {0x4001, "Def.FILE"},  {0x4002, "Env.Vars"},      {0x4003, "JSON.Labels"}, {0x4004, "FS"},
    {0x4005, "Signature"}, {0x4006, "JSON.Generic"},  {0x4007, "Generic/Raw"}, {0x4008, "Cryptographic Message"},
    {0x4009, "SBOM"},      {0x400A, "OCI.RootIndex"}, {0x400B, "OCI.Blob"}};
constexpr Name type_words[] = {{0x4001, "deffile"},   {0x4002, "env"},       {0x4003, "labels"},  {0x4004, "partition"},
                               {0x4005, "signature"}, {0x4006, "json"},      {0x4007, "generic"}, {0x4008, "message"},
                               {0x4009, "sbom"},      {0x400A, "oci-index"}, {0x400B, "oci-blob"}};
constexpr Name fs_texts[] = {
    {1, "Squashfs"}, {2, "Ext3"}, {3, "Archive"}, {4, "Raw"}, {5, "Encrypted squashfs"}, {6, "Gocryptfs squashfs"}};
constexpr Name part_texts[] = {{1, "System"}, {2, "*System"}, {3, "Data"}, {4, "Overlay"}};
constexpr Name hash_texts[] = {{1, "SHA-256"}, {2, "SHA-384"}, {3, "SHA-512"}, {4, "BLAKE2s-256"}, {5, "BLAKE2b-256"}};
constexpr Name format_texts[] = {{1, "OpenPGP"}, {2, "PEM"}};
constexpr Name message_texts[] = {{0x100, "Clear Signature"}, {0x200, "RSA-OAEP"}};
constexpr Name sbom_texts[] = {{1, "cyclonedx-json"}, {2, "cyclonedx-xml"},  {3, "github-json"}, {4, "spdx-json"},
                               {5, "spdx-rdf"},       {6, "spdx-tag-value"}, {7, "spdx-yaml"},   {8, "syft-json"}};
constexpr std::string_view arch_names[] = {"unknown", "386",    "amd64",  "arm",      "arm64", "ppc64",   "ppc64le",
                                           "mips",    "mipsle", "mips64", "mips64le", "s390x", "riscv64", "loong64"};

}  // namespace

std::string Descriptor::name_text() const { return std::string(name.data(), strnlen(name.data(), name.size())); }

int32_t Descriptor::extra_number(size_t at) const {
    int32_t value = 0;
    Reader(extra.data() + at).number(value);
    return value;
}

void Descriptor::set_extra_number(size_t at, int32_t value) { Packer(extra.data() + at).number(value); }

Header decode_header(std::span<const uint8_t> bytes) {
    Header h;
    Reader r(bytes.data());
    r.bytes(h.launch), r.bytes(h.magic), r.bytes(h.version), r.bytes(h.arch), r.bytes(h.uuid);
    r.number(h.created), r.number(h.modified), r.number(h.free), r.number(h.total);
    r.number(h.table_offset), r.number(h.table_size), r.number(h.data_offset), r.number(h.data_size);
    return h;
}

std::array<uint8_t, header_bytes> encode(const Header& h) {
    std::array<uint8_t, header_bytes> out{};
    Packer p(out.data());
    p.bytes(h.launch), p.bytes(h.magic), p.bytes(h.version), p.bytes(h.arch), p.bytes(h.uuid);
    p.number(h.created), p.number(h.modified), p.number(h.free), p.number(h.total);
    p.number(h.table_offset), p.number(h.table_size), p.number(h.data_offset), p.number(h.data_size);
    return out;
}

Descriptor decode_descriptor(std::span<const uint8_t> bytes) {
    Descriptor d;
    Reader r(bytes.data());
    r.number(d.type), r.number(d.used), r.number(d.id), r.number(d.group), r.number(d.link);
    r.number(d.offset), r.number(d.size), r.number(d.padded_size);
    r.number(d.created), r.number(d.modified), r.number(d.uid), r.number(d.gid);
    r.bytes(d.name), r.bytes(d.extra);
    return d;
}

std::array<uint8_t, descriptor_bytes> encode(const Descriptor& d) {
    std::array<uint8_t, descriptor_bytes> out{};
    Packer p(out.data());
    p.number(d.type), p.number(d.used), p.number(d.id), p.number(d.group), p.number(d.link);
    p.number(d.offset), p.number(d.size), p.number(d.padded_size);
    p.number(d.created), p.number(d.modified), p.number(d.uid), p.number(d.gid);
    p.bytes(d.name), p.bytes(d.extra);
    return out;
}

std::string covered_bytes(const Header& h) {
    std::array<uint8_t, 61> out{};
    Packer p(out.data());
    p.bytes(h.launch), p.bytes(h.magic), p.bytes(h.version), p.bytes(h.uuid);
    return {reinterpret_cast<const char*>(out.data()), out.size()};
}

std::string covered_bytes(const Descriptor& d, uint32_t relative_id) {
    std::array<uint8_t, 557> out{};
    Packer p(out.data());
    p.number(d.type), p.number(d.used), p.number(relative_id), p.number(d.link);
    p.number(d.size), p.number(d.created), p.number(d.uid), p.number(d.gid);
    p.bytes(d.name), p.bytes(d.extra);
    return {reinterpret_cast<const char*>(out.data()), out.size()};
}

Header fresh_header(int64_t time, std::span<const uint8_t> uuid) {
    Header h;
    std::copy(launch_text.begin(), launch_text.end(), h.launch.begin());
    std::copy(magic_text.begin(), magic_text.end(), h.magic.begin());
    std::copy(version_text.begin(), version_text.end(), h.version.begin());
    h.arch = {'0', '0', '\0'};
    std::copy_n(uuid.begin(), std::min(uuid.size(), h.uuid.size()), h.uuid.begin());
    h.created = h.modified = time;
    h.free = h.total = default_slots;
    h.table_offset = default_table;
    h.table_size = default_slots * descriptor_bytes;
    h.data_offset = default_data;
    return h;
}

std::string_view type_text(int32_t type) { return find_text(type_texts, type); }
std::string_view type_word(int32_t type) {
    const auto word = find_text(type_words, type);
    return word == "Unknown" ? "unknown" : word;
}
std::optional<int32_t> type_value(std::string_view word) { return find_value(type_words, word); }
std::string_view fs_text(int32_t value) { return find_text(fs_texts, value); }
std::optional<int32_t> fs_value(std::string_view text) { return find_value(fs_texts, text); }
std::string_view part_text(int32_t value) { return find_text(part_texts, value); }
std::optional<int32_t> part_value(std::string_view text) {
    if (folded(text) == "primary") return part::primary;
    return find_value(part_texts, text);
}
std::string_view hash_text(int32_t value) { return find_text(hash_texts, value); }
std::optional<int32_t> hash_value(std::string_view text) { return find_value(hash_texts, text); }
std::string_view format_text(int32_t value) { return find_text(format_texts, value); }
std::optional<int32_t> format_value(std::string_view text) { return find_value(format_texts, text); }
std::string_view message_text(int32_t value) { return find_text(message_texts, value); }
std::optional<int32_t> message_value(std::string_view text) { return find_value(message_texts, text); }
std::string_view sbom_text(int32_t value) { return find_text(sbom_texts, value); }
std::optional<int32_t> sbom_value(std::string_view text) { return find_value(sbom_texts, text); }

std::string_view arch_name(std::string_view code) {
    if (code.size() < 2 || code[0] < '0' || code[0] > '9' || code[1] < '0' || code[1] > '9') return arch_names[0];
    const size_t n = static_cast<size_t>(code[0] - '0') * 10 + static_cast<size_t>(code[1] - '0');
    return n < std::size(arch_names) ? arch_names[n] : arch_names[0];
}

std::optional<std::array<char, 3>> arch_code(std::string_view name) {
    for (size_t i = 1; i < std::size(arch_names); ++i)
        if (arch_names[i] == name)
            return std::array<char, 3>{static_cast<char>('0' + i / 10), static_cast<char>('0' + i % 10), '\0'};
    return std::nullopt;
}

std::string uuid_text(std::span<const uint8_t> uuid) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (size_t i = 0; i < uuid.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
        out += digits[uuid[i] >> 4];
        out += digits[uuid[i] & 15];
    }
    return out;
}

}  // namespace sif
