// A small root file system in memory: what a format's writer is given.
#pragma once
#include <singularity/format.h>

#include <map>
#include <string>
#include <vector>

namespace conformance {

struct MemoryTree {
    struct Node {
        uint32_t mode = 0;
        std::string target;  // of a link
        std::string bytes;   // of a file
        uint64_t content = SG_NO_CONTENT, inode = 0;
        uint32_t nlink = 1;
        std::map<std::string, uint64_t> children;
    };
    std::vector<Node> nodes;

    std::map<std::string, uint64_t> paths() const;  // "" is the root, "/bin" what lies in it

    // Directories, files of several sizes, an empty one, links of both kinds.
    static MemoryTree sample();
    static const sg_root_v1* table();  // as a tree for `finish`
    static const sg_root_v1*
    reader();  // as a reader without stored blocks: bytes can be read, and there are no contents
    sg_root* handle() { return reinterpret_cast<sg_root*>(this); }
};

}  // namespace conformance
