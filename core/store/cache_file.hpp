// Reading what anybody may have put into a cache.
#pragma once
#include <cstdint>
#include <string>

#include "base/unique_fd.hpp"

namespace sg {

// Opens a file of the cache that nobody else may be waiting behind: no link, no device, no FIFO. -1 in `fd` when it
// is no such file.
UniqueFd open_cache_file(const std::string& path, uint64_t& size);

}  // namespace sg
