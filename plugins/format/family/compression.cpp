// SPDX-License-Identifier: BSD-3-Clause
#include <family/compression.hpp>

#include <singularity/error.hpp>

#include <charconv>
#include <limits>

namespace squashfs {

using singularity::Code;
using singularity::Error;

std::string compressor_name(uint16_t id) {
    static constexpr const char* names[] = {"", "gzip", "lzma", "lzo", "xz", "lz4", "zstd"};
    if (id >= 1 && id < std::size(names)) return names[id];
    return "unknown compressor " + std::to_string(id);
}

SquashfsOptions parse_compression(std::string_view text) {
    static constexpr const char* hint = "choose zstd[:1-22], gzip[:1-12], lz4 or xz";
    SquashfsOptions options;
    if (text.empty()) return options;
    const auto colon = text.find(':');
    const auto name = text.substr(0, colon);
    int lowest = 0, highest = 0;
    if (name == "zstd") {
        options.compressor = Compressor::zstd, options.level = 3, lowest = 1, highest = 22;
    } else if (name == "gzip") {
        options.compressor = Compressor::gzip, options.level = 6, lowest = 1, highest = 12;
    } else if (name == "lz4") {
        options.compressor = Compressor::lz4, options.level = 0;
    } else if (name == "xz") {
        options.compressor = Compressor::xz, options.level = 6;
    } else {
        throw Error(Code::invalid, "cannot compress with '" + std::string(text) + "': no such compressor", hint);
    }
    if (colon == std::string_view::npos) return options;
    const auto number = text.substr(colon + 1);
    if (highest == 0)
        throw Error(Code::invalid, "cannot compress with '" + std::string(text) + "': " + std::string(name) + " has no levels", hint);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), options.level);
    if (error != std::errc{} || end != number.data() + number.size() || options.level < lowest || options.level > highest)
        throw Error(Code::invalid,
                    "cannot compress with '" + std::string(text) + "': the level of " + std::string(name) + " is a number from " +
                        std::to_string(lowest) + " to " + std::to_string(highest),
                    hint);
    return options;
}

uint32_t clamp_time(int64_t time) {
    if (time < 0) return 0;
    if (time > std::numeric_limits<uint32_t>::max()) return std::numeric_limits<uint32_t>::max();
    return static_cast<uint32_t>(time);
}

}  // namespace squashfs
