// A writer that knows layers, as plainly as can be: its segments are files with the paths and bytes of a layer's files.
#pragma once
#include <singularity/layers.h>

#include "support.hpp"

namespace rootfs_test {

struct LayeredRecorder : Recorder {
    // `sparse`: segments have no bytes of files that the image does not show.
    static sg::LayerTables tables(bool sparse = false);
    sg::ImageWriter layered(bool sparse = false) {
        sg::ImageWriter w = writer();
        w.use_layers(tables(sparse));
        return w;
    }

    using Files = std::vector<std::pair<std::string, std::string>>;  // path, bytes
    int segment = -1;
    bool in_layer = false, sparse = false;
    size_t collected = 0;  // contents that are in `files`
    Files files;           // of the open layer
    const Files* from = nullptr;
    size_t next = 0;

    void collect() {
        for (; collected < contents.size(); ++collected)
            files.emplace_back(contents[collected].hint, contents[collected].bytes);
    }
};

// A file in memory.
class MemoryFile {
public:
    MemoryFile();
    ~MemoryFile();
    MemoryFile(const MemoryFile&) = delete;
    int fd() const { return fd_; }
    sg::UniqueFd again() const;  // another descriptor of it
    std::string bytes() const;

private:
    int fd_;
};

}  // namespace rootfs_test
