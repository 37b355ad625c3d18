// Entries of a tar archive, through libarchive: ustar, pax, GNU, v7, old and new sparse files.
#pragma once
#include <singularity/stream.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "rootfs/layer_entries.hpp"

namespace sg {

// One thread. Errors: Code::corrupt for a damaged archive, and what `from` throws.
class TarReader final : public LayerEntries {
public:
    // `from` gives slices with owners; stays the caller's.
    explicit TarReader(singularity::Stream& from);
    ~TarReader() override;

    bool next(TarEntry& entry) override;
    singularity::Stream& data() override;
    Tree::Xattrs xattrs() const override;
    // Reads `from` to its end: what follows the archive belongs to its diff ID.
    void drain() override;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace sg
