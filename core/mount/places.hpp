// Mount points that the image lacks, as a small tree of made nodes laid over the image's own.
//
// A made node is a directory or an empty file. It hangs below a directory of the image or below another made
// directory; nothing of the image is ever hidden or changed. Built once, then read by any thread.
#pragma once
#include <singularity/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sg {

class Places {
public:
    using Index = uint32_t;
    static constexpr Index none = UINT32_MAX;
    static constexpr size_t max_siblings = 4094;  // in one directory: their number must fit a listing's offset

    struct Node {
        std::string name;
        bool directory;
        std::vector<Index> children;  // by byte order of names
    };

    Places() = default;
    // `paths`: absolute; one that ends in '/' asks for a directory, any other for a file; parents are made. A
    // path is left out when it exists, when a part of it is a file or a symbolic link of the image (a link is
    // never followed), when it holds "..", or when the image cannot be read there: who mounts on it says so.
    Places(const sg_root_v1* table, sg_root* root, const std::vector<std::string>& paths);

    const Node& operator[](Index i) const { return nodes_[i]; }
    bool holds(uint64_t index) const { return index < nodes_.size(); }
    // What was added to directory `node` of the image, in byte order; NULL: nothing.
    const std::vector<Index>* below(uint64_t node) const;
    // The one of `children` with that name, or none.
    Index find(const std::vector<Index>& children, std::string_view name) const;
    size_t directories(const std::vector<Index>& children) const;

private:
    void add(const sg_root_v1* table, sg_root* root, std::string_view path);
    Index insert(std::vector<Index>& siblings, std::string_view name, bool directory);

    std::vector<Node> nodes_;
    std::vector<std::pair<uint64_t, std::vector<Index>>> extended_;  // directories of the image, by node
};

}  // namespace sg
