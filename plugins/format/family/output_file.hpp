// SPDX-License-Identifier: BSD-3-Clause
/*
 * output_file.hpp: the file that an image is written into, seen from the image's base offset; what
 * libsquashfs writes through is the same object. Appends are gathered; one thread at a time.
 */
#pragma once
#include <sqfs/io.h>
#include <sys/uio.h>

#include <cstdint>
#include <exception>
#include <family/writeback.hpp>
#include <singularity/error.hpp>
#include <span>
#include <vector>

namespace squashfs {

class OutputFile : private sqfs_file_t {
public:
    OutputFile(int fd, uint64_t base);
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    int fd() const { return fd_; }
    uint64_t base() const { return base_; }
    uint64_t end() const { return end_; }  // next append goes here
    // Writes at `offset` at once; what was appended there and is still held is written before. Moves the end.
    void write_vector(uint64_t offset, std::vector<iovec>& pieces);
    void write(uint64_t offset, const void* data, size_t size);
    // Bytes of another file, as copy_bytes.
    void copy_from(uint64_t offset, int from, uint64_t from_offset, uint64_t size);
    void append(const void* data, size_t size);
    void flush();
    // Sets where the image ends for now; bytes that were written behind it are cut off by `trim`.
    void set_end(uint64_t end) {
        flush();
        end_ = end;
    }
    void trim();

    // For libsquashfs; an Error that a write of its threw is thrown by check() again.
    sqfs_file_t* sqfs() { return this; }
    void check(int answer, const char* doing);

private:
    void wrote(uint64_t end);
    static int sqfs_read(sqfs_file_t* file, sqfs_u64 offset, void* data, size_t size);
    static int sqfs_write(sqfs_file_t* file, sqfs_u64 offset, const void* data, size_t size);

    int fd_;
    uint64_t base_;
    uint64_t end_ = 0;
    uint64_t written_ = 0;  // largest end of any write
    std::vector<uint8_t> held_;
    std::exception_ptr failure_;
    Writeback writeback_;
};

// Bytes of one file into another, at absolute offsets; the kernel shares or copies them where it can. Throws
// Code::corrupt when `from` ends before.
void copy_bytes(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t size);

// The Error of errno after a failed write, read or copy: no_space for a full disk or quota.
[[noreturn]] void throw_errno(const char* doing);

}  // namespace squashfs
