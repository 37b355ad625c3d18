// Whether somebody else could put another file in the place of one that is to be trusted.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace sg {

enum class Way {
    parent,  // the directory that holds the file: one look, for a start
    whole    // every directory down to it
};

// Why the way to the file `path` (absolute) is not safe: "DIRECTORY, which other users may write to" or the like; ""
// when it is, or when a directory is not there. The directory that holds the file must belong to root, the caller or
// one of `owners` and be writable by its owner alone; those above may not be writable by all, unless they are sticky.
std::string unsafe_way(const std::string& path, const std::vector<uint32_t>& owners, Way way);

}  // namespace sg
