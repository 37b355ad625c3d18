// What makes a result the same on every day and machine: its time and its UUID (docs/user/images.md, "The same bytes each time").
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sg {

// RFC 4122 version 5 (SHA-1) in the product's own name space.
std::array<uint8_t, 16> uuid_of(std::string_view name);

// Names what an image file holds, wherever it lies: its size, its first 32 KiB (a SIF's descriptors, a superblock) and its
// last MiB (tables with the sizes, times and compressed sizes of all files). A directory is named by its path. Throws
// system errors.
std::string identity_of(const std::string& path);

// SOURCE_DATE_EPOCH when set (throws Code::invalid when it is no number), else `created`, else nullopt.
std::optional<int64_t> result_time(std::string_view created);

}  // namespace sg
