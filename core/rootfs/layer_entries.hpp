// The entries of one layer in their order, whether its archive is read or what the cache kept of it.
#pragma once
#include <singularity/stream.hpp>

#include <cstdint>
#include <string_view>

#include "rootfs/tree.hpp"

namespace sg {

// Texts live until the next call of `next`.
struct TarEntry {
    enum class Kind { file, directory, symlink, hard_link, character, block, fifo };
    Kind kind = Kind::file;
    std::string_view path;    // raw bytes, as the archive has it
    std::string_view target;  // of a link, raw bytes
    uint32_t permissions = 0;
    uint32_t uid = 0, gid = 0;
    int64_t mtime = 0;  // whole seconds, not before 1970
    uint64_t size = 0;  // of a file: with its holes
    uint32_t major = 0, minor = 0;
};

// One thread.
class LayerEntries {
public:
    virtual ~LayerEntries() = default;
    // The next entry; false at the end. What was not read of the last one is skipped.
    virtual bool next(TarEntry& entry) = 0;
    // Bytes of the present entry, exactly `size` of them, holes as holes. Once per entry; slices live as
    // long as their owner, those without one until the next call.
    virtual singularity::Stream& data() = 0;
    // Extended attributes of the present entry, unfiltered.
    virtual Tree::Xattrs xattrs() const = 0;
    // After the last entry: what follows belongs to the layer's digest.
    virtual void drain() = 0;
};

}  // namespace sg
