// SPDX-License-Identifier: BSD-3-Clause
/*
 * squashfs_reader.hpp: a squashfs 4.0 inside an open file, read at random by any number of threads.
 *
 * Opening reads the super block and the owners; everything else is read and decompressed at first
 * touch and kept in bounded caches. A node is the reference of its inode (metadata block << 16 | offset).
 * Every offset, size and count of the image is checked: damage throws Code::corrupt and says what is
 * wrong where. The directory tree itself is not walked, so a cycle in it is the caller's to find.
 */
#pragma once
#include <family/compression.hpp>
#include <family/image_view.hpp>
#include <singularity/format.hpp>

#include <memory>

namespace squashfs {

// Facts of the super block. `bytes_used` is without padding.
struct SuperBlock {
    uint32_t inodes = 0, mtime = 0, block_size = 0, fragments = 0;
    uint16_t compressor = 0, flags = 0, ids = 0;
    uint64_t root = 0, bytes_used = 0;
    uint64_t id_table = 0, xattr_table = 0, inode_table = 0, directory_table = 0, fragment_table = 0, export_table = 0;
};

// Reads and checks the super block at `offset` of `fd`, where at most `size` bytes belong to the image.
// Code::corrupt when it is none or damaged or longer than `size`, unsupported for another version than 4.0.
SuperBlock read_super_block(int fd, uint64_t offset, uint64_t size);
SuperBlock read_super_block(const ImageView& image);

// `fd` stays the caller's, and open, for as long as the reader lives; any position, only pread(2) is used.
// Code::unsupported for a compressor that is not built in (lzo).
std::unique_ptr<singularity::StoredRoot> open_squashfs(int fd, uint64_t offset, uint64_t size);
// The same for an image of `size` bytes that `source`, which must live as long, gives: its stored blocks are in no file,
// so that nobody may adopt them.
std::unique_ptr<singularity::Root> open_squashfs(const ByteSource& source, uint64_t size);

}  // namespace squashfs
