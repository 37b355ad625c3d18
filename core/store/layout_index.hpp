// The list of images in the cache's OCI layout, ROOT/LAYOUT/index.json, which many processes add to at once.
//
// File locks do not work on every network file system, so there are none. What is true is one small file for each
// image, ROOT/records/image-NAME, which appears by rename; index.json is made of these and of what else it held.
// Whoever wrote it looks afterwards whether there is a record that it lacks, and if so writes it again: of any number
// of writers the last one to write looks last, so no image is lost.
#pragma once
#include <cstdint>
#include <string>

namespace sg {

// An image of the layout. `name` is its org.opencontainers.image.ref.name: the sha256 of the manifest as it was
// received; `digest` and `size` are those of the manifest as it is stored.
struct LayoutEntry {
    std::string name, digest;
    uint64_t size = 0;
    std::string architecture, os, variant;
};

class LayoutIndex {
public:
    explicit LayoutIndex(std::string root) : root_(std::move(root)) {}
    // The manifest's blob must be there. Throws permission, no_space, io.
    void add(const LayoutEntry& entry) const;
    // Writes index.json and oci-layout. Entries whose manifest has gone are left out; garbage is replaced.
    void write() const;

private:
    std::string root_;
};

}  // namespace sg
