// SPDX-License-Identifier: BSD-3-Clause
// ext3.cpp: the format "ext3": a file with an ext2, ext3 or ext4 file system. The kernel (or a FUSE program)
// mounts it; nothing here reads it.
#include <fcntl.h>
#include <singularity/format.hpp>
#include <singularity/plugin.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>

namespace ext3 {

using singularity::Code;
using singularity::Error;

namespace {

// fs/ext4/ext4.h, struct ext4_super_block: s_magic at byte 56 of the super block, which begins at 1024.
constexpr size_t magic_at = 1024 + 56;
constexpr size_t super_block_end = 2048;

bool has_magic(std::span<const uint8_t> head) { return head.size() >= magic_at + 2 && head[magic_at] == 0x53 && head[magic_at + 1] == 0xef; }

uint32_t little(const uint8_t* at) {
    return static_cast<uint32_t>(at[0]) | static_cast<uint32_t>(at[1]) << 8 | static_cast<uint32_t>(at[2]) << 16 | static_cast<uint32_t>(at[3]) << 24;
}

class Image final : public singularity::ImageFile {
public:
    Image(const std::string& path, bool writable) : path_(path) {
        const int fd = ::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0) {
            const int e = errno;
            const Code code = e == ENOENT || e == ENOTDIR ? Code::not_found : e == EACCES || e == EPERM || e == EROFS ? Code::permission : Code::io;
            throw Error(code, "cannot open " + path + ": " + std::strerror(e));
        }
        uint8_t head[super_block_end];
        const ssize_t n = ::pread(fd, head, sizeof head, 0);
        struct stat s {};
        const int looked = ::fstat(fd, &s);
        ::close(fd);
        if (looked != 0 || n != static_cast<ssize_t>(sizeof head) || !has_magic(head))
            throw Error(Code::corrupt, path + " is no whole ext3 file system: its super block is missing");
        if (!S_ISREG(s.st_mode) && !S_ISBLK(s.st_mode)) throw Error(Code::invalid, path + " is neither a file nor a device");
        // s_blocks_count_lo and s_log_block_size: a file that was cut short would fail in the kernel's words only.
        const uint32_t shift = little(head + 1024 + 24);
        if (shift > 6) throw Error(Code::corrupt, path + ": damaged ext3 file system: block size 2^" + std::to_string(10 + uint64_t{shift}));
        size_ = uint64_t{little(head + 1024 + 4)} << (10 + shift);
        if (S_ISREG(s.st_mode) && size_ > static_cast<uint64_t>(s.st_size))
            throw Error(Code::corrupt, path + " is cut short: its ext3 file system has " + std::to_string(size_) + " bytes, the file " + std::to_string(s.st_size));
    }

    sg_image_info info() override {
        sg_image_info out{};
        singularity::detail::copy_text(out.format, "ext3");
        out.runnable = 1;
        return out;
    }

    singularity::Root& root() override {
        throw Error(Code::unsupported, path_ + ": an ext3 file system is mounted, not read", "build from it as root, or copy its files out of a container");
    }

    sg_mount_plan mount_plan() override {
        sg_mount_plan out{};
        char* real = ::realpath(path_.c_str(), nullptr);
        const std::string absolute = real ? real : path_;
        std::free(real);
        if (absolute.size() >= sizeof out.path) throw Error(Code::limit, "the path of " + path_ + " is too long");
        singularity::detail::copy_text(out.type, "ext3");
        singularity::detail::copy_text(out.path, absolute);
        out.writable = 1;
        return out;
    }

private:
    const std::string path_;
    uint64_t size_ = 0;
};

class Ext3Format final : public singularity::Format {
public:
    int probe(const char*, bool is_directory, std::span<const uint8_t> head) override {
        // Two bytes say little: every other format that knows the file is surer.
        return !is_directory && has_magic(head) ? 40 : 0;
    }
    std::unique_ptr<singularity::ImageFile> open(const std::string& path, bool writable) override { return std::make_unique<Image>(path, writable); }
    std::unique_ptr<singularity::Writer> create(const singularity::CreateSpec&, const singularity::Host&) override {
        throw Error(Code::unsupported, "an ext3 image is made by 'overlay create'", "'build' makes SIF files and directories");
    }
};

}  // namespace
}  // namespace ext3

SINGULARITY_PLUGIN(ext3, ext3::Ext3Format)
