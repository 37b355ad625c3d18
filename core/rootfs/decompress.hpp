// Decompression by first bytes, in constant memory.
#pragma once
#include <singularity/stream.hpp>

#include <memory>
#include <string_view>

#include "rootfs/slices.hpp"

namespace sg {

enum class Compression { none, gzip, zstd, xz, bzip2 };

// What the first bytes say (6 are enough); anything unknown is `none`.
Compression compression_of(std::string_view first_bytes);

// The uncompressed bytes of `from`, whatever its compression (OCI image-spec, layer.md): several gzip
// members, zstd frames (skippable ones too), xz and bzip2 streams follow each other; zeros after the
// last gzip member or bzip2 stream are padding. Anything else after the end, a wrong checksum or an end
// in the middle throws Code::corrupt. Slices are of at most 1 MiB and have owners. Reads `from` to its
// end. Not thread-safe; errors of `from` pass through. `pool` gives the buffers; NULL: its own.
std::unique_ptr<singularity::Stream> decompress(std::unique_ptr<singularity::Stream> from,
                                                std::shared_ptr<BufferPool> pool = nullptr);

}  // namespace sg
