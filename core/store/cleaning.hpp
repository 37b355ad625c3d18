// Taking things out of a cache while others use it: whoever misses something fetches it again.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sg {

// What goes. Everything that is given must hold for a thing to go.
struct CleanWish {
    std::vector<std::string> areas;      // of images
    bool blobs = true;                   // images of the OCI layout, with the layers that no other one has
    std::optional<unsigned> older_than;  // days since it was last written
    std::vector<std::string> names;      // file names or hashes; empty = all
    std::optional<uint64_t> most_bytes;  // the least recently used go until the rest is no larger
    bool segments = true;                // layers as they were converted
};

// What is known of names and images that have gone, and what plugins had kept.
void forget_images(const std::string& root);

// Calls `removing` with each path, and then removes it unless `dry`. Throws permission, io.
void clean_cache(const std::string& root, const CleanWish& wish, bool dry, const std::function<void(const std::string& path)>& removing);

}  // namespace sg
