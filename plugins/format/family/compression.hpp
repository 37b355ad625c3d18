// SPDX-License-Identifier: BSD-3-Clause
// compression.hpp: how the blocks of a squashfs are compressed, and its text form on the command line.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace squashfs {

// As in the super block (squashfs 4.0, "compressor").
enum class Compressor : uint16_t { gzip = 1, lzma = 2, lzo = 3, xz = 4, lz4 = 5, zstd = 6 };

// "gzip", or "unknown compressor 9".
std::string compressor_name(uint16_t id);

inline constexpr uint32_t default_block_size = 131072;

struct SquashfsOptions {
    Compressor compressor = Compressor::zstd;
    int level = 3;  // of that compressor; lz4 and xz ignore it
    uint32_t block_size = default_block_size;  // power of two, 4 KiB to 1 MiB
    uint32_t mtime = 0;                        // of the super block, seconds since 1970
};

// "zstd", "zstd:N" (1 to 22), "gzip", "gzip:N" (1 to 12), "lz4", "xz"; "" is the default, zstd:3.
// Anything else throws Code::invalid with the choices as its hint.
SquashfsOptions parse_compression(std::string_view text);

// A time for the super block or an inode: unsigned 32 bit, values outside are clamped, INT64_MIN is 0.
uint32_t clamp_time(int64_t time);

}  // namespace squashfs
