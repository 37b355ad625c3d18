// What lies in a cache, for `cache list`.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace sg {

struct CachedFile {
    std::string area;  // directory below the root
    std::string hash;  // ROOT/AREA/HASH...
    std::string name;  // file name; of a blob its digest's hex
    std::string path;
    uint64_t size = 0;     // bytes
    int64_t modified = 0;  // seconds since the epoch
    int64_t used = 0;      // read or written last
    bool directory = false;  // an unpacked image; `size` is that of its files
};

struct Inventory {
    std::vector<CachedFile> images;  // finished images, by area and path; also other versions' ROOT/AREA/HASH files
    std::vector<CachedFile> blobs;   // of the OCI layout
    std::vector<CachedFile> segments;  // layers as they were converted

    uint64_t image_bytes() const;
    uint64_t blob_bytes() const;
    uint64_t segment_bytes() const;
};

// Never follows a link; what cannot be read is left out. `areas` are directories below `root`.
Inventory take_inventory(const std::string& root, const std::vector<std::string>& areas);

// Directories below `root` that hold images, besides those of the cache's own. For areas that no plugin claims any more.
std::vector<std::string> areas_in(const std::string& root);

}  // namespace sg
