// SPDX-License-Identifier: BSD-3-Clause
#include <family/image_view.hpp>
#include <family/squashfs_reader.hpp>

namespace squashfs {

using singularity::Code;
using singularity::Error;

namespace {

constexpr uint64_t none = UINT64_MAX;
constexpr size_t super_size = 96;
constexpr uint32_t magic = 0x73717368, swapped_magic = 0x68737173;

void check_table(uint64_t start, uint64_t used, const char* what) {
    if (start < super_size || start >= used) corrupt(std::string(what) + " lies outside the image");
}

}  // namespace

SuperBlock read_super_block(int fd, uint64_t offset, uint64_t size) { return read_super_block(ImageView{fd, offset, size}); }

SuperBlock read_super_block(const ImageView& image) {
    const uint64_t offset = image.base, size = image.size;
    if (offset > static_cast<uint64_t>(INT64_MAX) || size > static_cast<uint64_t>(INT64_MAX) - offset)
        throw Error(Code::corrupt, "a squashfs image cannot lie at offset " + std::to_string(offset));
    if (size < super_size) throw Error(Code::corrupt, "this is no squashfs image: it has only " + std::to_string(size) + " bytes");
    uint8_t b[super_size];
    image.read(0, b, sizeof b, "the super block");
    if (le32(b) == swapped_magic)
        throw Error(Code::unsupported, "this squashfs image is big-endian, as versions before 4.0 could be",
                    "make it again with a current mksquashfs");
    if (le32(b) != magic) throw Error(Code::corrupt, "this is no squashfs image: it does not start with 'hsqs'");
    const uint16_t major = le16(b + 28), minor = le16(b + 30);
    if (major != 4 || minor != 0)
        throw Error(Code::unsupported, "this squashfs image has version " + std::to_string(major) + "." + std::to_string(minor) +
                                           ", only 4.0 can be read",
                    "unpack it with an unsquashfs of its time and make it again with a current mksquashfs");
    SuperBlock s;
    s.inodes = le32(b + 4);
    s.mtime = le32(b + 8);
    s.block_size = le32(b + 12);
    s.fragments = le32(b + 16);
    s.compressor = le16(b + 20);
    const uint16_t block_log = le16(b + 22);
    s.flags = le16(b + 24);
    s.ids = le16(b + 26);
    s.root = le64(b + 32);
    s.bytes_used = le64(b + 40);
    s.id_table = le64(b + 48);
    s.xattr_table = le64(b + 56);
    s.inode_table = le64(b + 64);
    s.directory_table = le64(b + 72);
    s.fragment_table = le64(b + 80);
    s.export_table = le64(b + 88);
    if (block_log < 12 || block_log > 20 || s.block_size != uint32_t{1} << block_log)
        corrupt("the block size " + std::to_string(s.block_size) + " is no power of two from 4 KiB to 1 MiB");
    if (s.bytes_used > size)
        corrupt("it is cut short: " + std::to_string(s.bytes_used) + " bytes are due, " + std::to_string(size) + " are there");
    if (s.inodes == 0) corrupt("it counts no inodes");
    if (s.ids == 0) corrupt("it has no owners");
    check_table(s.inode_table, s.bytes_used, "the inode table");
    check_table(s.directory_table, s.bytes_used, "the directory table");
    check_table(s.id_table, s.bytes_used, "the table of owners");
    if (s.directory_table < s.inode_table) corrupt("the directory table lies before the inode table");
    if (s.fragments > 0) check_table(s.fragment_table, s.bytes_used, "the fragment table");
    if (s.xattr_table != none) check_table(s.xattr_table, s.bytes_used, "the table of extended attributes");
    if (s.root >> 16 >= s.directory_table - s.inode_table) corrupt("the root directory lies outside the inode table");
    return s;
}

}  // namespace squashfs
