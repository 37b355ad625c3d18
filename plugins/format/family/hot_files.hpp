// SPDX-License-Identifier: BSD-3-Clause
/*
 * hot_files.hpp: files that every start of a program reads: the dynamic loader, the C library, the shell, `true`, what
 * the C library looks up, and the image's own scripts; and the names that every start looks up.
 *
 * Stored raw they spare a start most of its decompressing (docs/user/images.md, "There and back"). They are told
 * by their path, as contents arrive in one pass before the tree is known: a name that is no such file costs a little
 * size, one that is missed a little time.
 */
#pragma once
#include <cstdint>
#include <string_view>

namespace squashfs {

enum class Heat {
    none,
    always,  // whatever is started
    shell,   // what scripts need besides
};

inline constexpr uint64_t largest_hot_file = uint64_t{4} << 20;
inline constexpr uint64_t most_hot_bytes = uint64_t{8} << 20;  // of all of them, and kept in memory until the end

// `path`: of the image, with or without the first '/'.
Heat heat_of(std::string_view path);

// Whether most starts look this name up: what is hot, where a launcher mounts, and the directories and links on the way
// to it. What is below a directory that none looks up is not looked up either.
bool met_at_start(std::string_view path);

// Bytes that may be stored raw in an image whose files have `total` bytes: a 64th, which is at most about 1 % of the
// compressed image more; but 1 MiB for small images, as the C library of a minimal system has that.
uint64_t hot_budget(uint64_t total);

}  // namespace squashfs
