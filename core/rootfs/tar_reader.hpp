// Entries of a tar archive, through libarchive: ustar, pax, GNU, v7, old and new sparse files.
#pragma once
#include <singularity/stream.hpp>

#include <cstdint>
#include <memory>
#include <string>
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

// One thread. Errors: Code::corrupt for a damaged archive, and what `from` throws.
class TarReader {
public:
    // `from` gives slices with owners; stays the caller's.
    explicit TarReader(singularity::Stream& from);
    ~TarReader();

    // The next entry; false at the end of the archive. What was not read of the last one is skipped.
    bool next(TarEntry& entry);
    // Bytes of the present entry, exactly `size` of them, holes as holes. Once per entry; slices live as
    // long as their owner, those without one until the next call.
    singularity::Stream& data();
    // Extended attributes of the present entry, unfiltered.
    Tree::Xattrs xattrs() const;
    // Reads `from` to its end: what follows the archive belongs to its diff ID.
    void drain();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace sg
