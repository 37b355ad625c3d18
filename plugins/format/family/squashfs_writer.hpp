// SPDX-License-Identifier: BSD-3-Clause
/*
 * squashfs_writer.hpp: writes a squashfs 4.0 into an open file, from a base offset on.
 *
 * Contents come first, in any order, each as a stream of bytes or as the stored blocks of another
 * squashfs; then one tree. Blocks are compressed by several threads, yet the bytes of the result depend
 * only on the calls and their arguments. Memory is bounded: about 16 blocks in flight per worker
 * and 40 bytes per content. Nothing outside [base offset, base offset + what finish() returned) is touched.
 *
 * One thread at a time. Errors: Code::io or no_space when the file cannot be written, invalid for a
 * tree that squashfs cannot hold (more than 65,535 owners, a name above 255 bytes), cancelled.
 */
#pragma once
#include <family/compression.hpp>
#include <memory>
#include <singularity/format.hpp>
#include <singularity/layers.hpp>

namespace squashfs {

// What was done, for tests, logs and benchmarks.
struct WriterStats {
    uint64_t blocks_compressed = 0;  // data and fragment blocks that went through the compressor
    uint64_t blocks_adopted = 0;     // taken as stored
    uint64_t files_shared = 0;       // contents that were found to be there already
    uint64_t bytes_in = 0;           // of content() and stored()
    uint64_t bytes_stored = 0;       // of blocks in the image
    uint64_t xattrs_dropped = 0;     // names that squashfs has no prefix for
};

class SquashfsWriter {
public:
    // Workers are the host's executor; where the host has none, threads of its own.
    SquashfsWriter(int fd, uint64_t base_offset, const SquashfsOptions& options, const singularity::Host& host);
    // `workers` threads of its own (0: the caller's thread does everything).
    SquashfsWriter(int fd, uint64_t base_offset, const SquashfsOptions& options, unsigned workers);
    ~SquashfsWriter();
    SquashfsWriter(const SquashfsWriter&) = delete;
    SquashfsWriter& operator=(const SquashfsWriter&) = delete;

    // As sg_writer_v1.content: stores the bytes of one regular file; SG_NO_CONTENT for an empty one. A stream
    // that does not give exactly `size` bytes (unless SG_SIZE_UNKNOWN) throws Code::corrupt.
    uint64_t content(const char* hint, uint64_t size, singularity::Stream& data, const singularity::Host& host);
    // As sg_writer_v1.adopt: SG_NO_CONTENT when `from` is not of this writer's family ("squashfs zstd 131072").
    // An empty file has no content to take: it gives SG_NO_CONTENT as well.
    uint64_t adopt(const singularity::ForeignRoot& from, uint64_t node);
    // As sg_layers_v1, with the blocks of a layer's files as they stand in its segment (segment.hpp).
    const std::string& family() const;
    // `segment`: filled with the layer's, which refers to this image.
    void begin_layer(int segment);
    void hidden(const char* path, uint64_t size, singularity::Stream* data, const singularity::Host& host);
    singularity::SegmentEnd end_layer(const singularity::Host& host);
    void begin_stored(singularity::Segment& segment);
    uint64_t stored(const char* path, bool hidden, const singularity::Host& host);
    // Writes the tree and the tables. Returns the bytes from the base offset on, padded to 4 KiB.
    uint64_t finish(const singularity::ForeignRoot& tree, const singularity::Host& host);

    WriterStats stats() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace squashfs
