// SPDX-License-Identifier: BSD-3-Clause
// compressor.hpp: sqfs_compressor_t objects of libsquashfs, and two of our own: gzip over libdeflate (7 times less CPU
// than zlib at level 9 and no larger), and zstd whose tables fit blocks.
#pragma once
#include <family/compression.hpp>

#include <memory>
#include <sqfs/compressor.h>
#include <string>

namespace squashfs {

struct SqfsDelete {
    void operator()(void* object) const { sqfs_destroy(object); }
};
template <class T>
using SqfsPtr = std::unique_ptr<T, SqfsDelete>;
using CompressorPtr = SqfsPtr<sqfs_compressor_t>;

// Compresses; one thread at a time. do_block gives 0 for a block that does not shrink.
CompressorPtr make_compressor(const SquashfsOptions& options);
// Shrinks nothing, so that everything is stored raw.
CompressorPtr make_storing();
// Name and version of the library that does it, and how it is used: another one may give other bytes.
std::string compressor_library(const SquashfsOptions& options);
// Another one of the same kind, for another thread.
CompressorPtr copy_compressor(const sqfs_compressor_t& from);

// Throws for a negative answer of libsquashfs; `doing` as "write the inode table".
void check_sqfs(int answer, const char* doing);

}  // namespace squashfs
