// The bytes of a SIF: global header, descriptors, and what their numbers mean (github.com/apptainer/sif,
// pkg/sif). Pure values: nothing here touches a file or decides whether a container is sound (container.hpp does).
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sif {

inline constexpr uint64_t header_bytes = 128;
inline constexpr uint64_t descriptor_bytes = 585;
inline constexpr uint64_t default_slots = 48;
inline constexpr uint64_t default_table = 4096;
inline constexpr uint64_t default_data = default_table + default_slots * descriptor_bytes;  // 32176
inline constexpr uint64_t partition_alignment = 4096;
inline constexpr uint32_t group_mask = 0xF0000000u;
// Go's zero time: what a deterministic writer stores and a reader takes for "not set".
inline constexpr int64_t unset_time = -62135596800;
inline constexpr std::string_view magic_text{"SIF_MAGIC\0", 10};
inline constexpr std::string_view version_text{"01\0", 3};
inline constexpr std::string_view launch_text = "#!/usr/bin/env run-singularity\n";

enum class DataType : int32_t {
    deffile = 0x4001,
    env = 0x4002,
    labels = 0x4003,
    partition = 0x4004,
    signature = 0x4005,
    json = 0x4006,
    generic = 0x4007,
    message = 0x4008,
    sbom = 0x4009,
    oci_index = 0x400A,
    oci_blob = 0x400B,
};

namespace fs {
inline constexpr int32_t squashfs = 1, ext3 = 2, archive = 3, raw = 4, encrypted_squashfs = 5, gocryptfs_squashfs = 6;
}
inline constexpr int32_t pem_format = 2, rsa_oaep_message = 0x200;  // of a message object
namespace part {
inline constexpr int32_t system = 1, primary = 2, data = 3, overlay = 4;
}

// Text fields keep every byte as it is stored.
struct Header {
    std::array<char, 32> launch{};
    std::array<char, 10> magic{};
    std::array<char, 3> version{};
    std::array<char, 3> arch{};
    std::array<uint8_t, 16> uuid{};
    int64_t created = 0, modified = 0;
    int64_t free = 0, total = 0, table_offset = 0, table_size = 0, data_offset = 0, data_size = 0;
};

struct Descriptor {
    int32_t type = 0;
    uint8_t used = 0;
    uint32_t id = 0;
    uint32_t group = 0;  // as stored, with the mask
    uint32_t link = 0;   // as stored: 0, an id, or a group with the mask
    int64_t offset = 0, size = 0, padded_size = 0;
    int64_t created = 0, modified = 0, uid = 0, gid = 0;
    std::array<char, 128> name{};
    std::array<uint8_t, 384> extra{};

    uint32_t group_id() const { return group & ~group_mask; }  // 0: none
    bool links_group() const { return (link & group_mask) == group_mask && (link & ~group_mask) != 0; }
    uint32_t link_id() const { return (link & group_mask) == group_mask ? link & ~group_mask : link; }
    std::string name_text() const;
    bool is(DataType t) const { return type == static_cast<int32_t>(t); }
    // Members of extra, by type (section 6); meaningless for another type.
    int32_t extra_number(size_t at) const;
    int32_t fs_type() const { return extra_number(0); }
    int32_t part_type() const { return extra_number(4); }
    std::string_view arch_code() const { return {reinterpret_cast<const char*>(extra.data()) + 8, 3}; }
    void set_extra_number(size_t at, int32_t value);
};

Header decode_header(std::span<const uint8_t> bytes);  // header_bytes of them
std::array<uint8_t, header_bytes> encode(const Header& header);
Descriptor decode_descriptor(std::span<const uint8_t> bytes);  // descriptor_bytes of them
std::array<uint8_t, descriptor_bytes> encode(const Descriptor& descriptor);

// What a signature covers (section 8.2): 61 bytes of a header, 557 of a descriptor.
std::string covered_bytes(const Header& header);
std::string covered_bytes(const Descriptor& descriptor, uint32_t relative_id);

// A header as `create` starts with: 48 free slots, no data, the launch script.
Header fresh_header(int64_t time, std::span<const uint8_t> uuid);

// ---- Names of numbers. `*_text` gives what the listings show ("Unknown" for a number without a name, "unknown"
// for an architecture); `*_value` the number of such a text or of a decimal number, in any case of letters.

std::string_view type_text(int32_t type);  // "FS", "JSON.Generic"
std::string_view type_word(int32_t type);  // "partition", "json": the SDK's name; "unknown"
std::optional<int32_t> type_value(std::string_view word);
std::string_view fs_text(int32_t value);
std::optional<int32_t> fs_value(std::string_view text);
std::string_view part_text(int32_t value);
std::optional<int32_t> part_value(std::string_view text);
std::string_view hash_text(int32_t value);
std::optional<int32_t> hash_value(std::string_view text);
std::string_view format_text(int32_t value);
std::optional<int32_t> format_value(std::string_view text);
std::string_view message_text(int32_t value);
std::optional<int32_t> message_value(std::string_view text);
std::string_view sbom_text(int32_t value);
std::optional<int32_t> sbom_value(std::string_view text);
// Architectures: "02" and NUL <-> "amd64".
std::string_view arch_name(std::string_view code);
std::optional<std::array<char, 3>> arch_code(std::string_view name);

std::string uuid_text(std::span<const uint8_t> uuid);

}  // namespace sif
