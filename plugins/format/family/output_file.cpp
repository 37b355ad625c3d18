// SPDX-License-Identifier: BSD-3-Clause
#include <sqfs/error.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <family/compressor.hpp>
#include <family/output_file.hpp>

namespace squashfs {

using singularity::Code;
using singularity::Error;

namespace {
constexpr size_t held_limit = size_t{1} << 20;
constexpr uint64_t shared_unit = 4096;  // file systems that share bytes between files share whole blocks

// How much to ask the kernel for in one call. It shares nothing of a range that begins within a block, so the rest of
// that block goes first where the two files have their blocks at the same bytes.
uint64_t next_piece(uint64_t source, uint64_t target, uint64_t left) {
    const uint64_t within = source % shared_unit;
    return within == 0 || within != target % shared_unit ? left : std::min(left, shared_unit - within);
}
}  // namespace

void throw_errno(const char* doing) {
    const int e = errno;
    const Code code = e == ENOSPC || e == EDQUOT ? Code::no_space : e == EFBIG ? Code::limit : Code::io;
    throw Error(code, std::string("cannot ") + doing + ": " + std::strerror(e));
}

void copy_bytes(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t size) {
    off_t source = static_cast<off_t>(from_offset), target = static_cast<off_t>(to_offset);
    uint64_t left = size;
    while (left > 0) {
        const uint64_t piece = next_piece(static_cast<uint64_t>(source), static_cast<uint64_t>(target), left);
        const ssize_t n = copy_file_range(from, &source, to, &target, piece, 0);
        if (n > 0) {
            left -= static_cast<uint64_t>(n);
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        // Other file systems, old kernels and special files cannot: copy by hand. An end of file shows there.
        if (n == 0 || errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ||
            errno == ETXTBSY || errno == EBADF || errno == EIO)
            break;
        throw_errno("write the image");
    }
    std::vector<uint8_t> buffer(static_cast<size_t>(std::min<uint64_t>(left, held_limit)));
    while (left > 0) {
        const ssize_t n =
            pread(from, buffer.data(), static_cast<size_t>(std::min<uint64_t>(left, buffer.size())), source);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("read the image that blocks are taken from");
        if (n == 0) throw Error(Code::corrupt, "the image that blocks are taken from ends before its last block");
        for (ssize_t done = 0; done < n;) {
            const ssize_t w = pwrite(to, buffer.data() + done, static_cast<size_t>(n - done), target + done);
            if (w < 0 && errno == EINTR) continue;
            if (w < 0) throw_errno("write the image");
            done += w;
        }
        source += n, target += n, left -= static_cast<uint64_t>(n);
    }
}

OutputFile::OutputFile(int fd, uint64_t base) : sqfs_file_t{}, fd_(fd), base_(base), writeback_(fd) {
    sqfs_file_t::base.destroy = [](sqfs_object_t*) {};
    read_at = sqfs_read;
    write_at = sqfs_write;
    get_size = [](const sqfs_file_t* f) -> sqfs_u64 { return static_cast<const OutputFile*>(f)->end_; };
    truncate = [](sqfs_file_t*, sqfs_u64) -> int { return SQFS_ERROR_UNSUPPORTED; };
    held_.reserve(held_limit);
}

void OutputFile::write_vector(uint64_t offset, std::vector<iovec>& pieces) {
    flush();
    uint64_t at = offset;
    for (size_t first = 0; first < pieces.size();) {
        const int count = static_cast<int>(std::min<size_t>(pieces.size() - first, IOV_MAX));
        ssize_t n = pwritev(fd_, pieces.data() + first, count, static_cast<off_t>(base_ + at));
        if (n < 0) {
            if (errno == EINTR) continue;
            throw_errno("write the image");
        }
        at += static_cast<uint64_t>(n);
        while (first < pieces.size() && static_cast<size_t>(n) >= pieces[first].iov_len)
            n -= static_cast<ssize_t>(pieces[first++].iov_len);
        if (n > 0) {
            pieces[first].iov_base = static_cast<uint8_t*>(pieces[first].iov_base) + n;
            pieces[first].iov_len -= static_cast<size_t>(n);
        }
    }
    wrote(at);
}

void OutputFile::write(uint64_t offset, const void* data, size_t size) {
    std::vector<iovec> one{{const_cast<void*>(data), size}};
    if (size > 0) write_vector(offset, one);
}

void OutputFile::copy_from(uint64_t offset, int from, uint64_t from_offset, uint64_t size) {
    flush();
    copy_bytes(from, from_offset, fd_, base_ + offset, size);
    wrote(offset + size);
}

void OutputFile::wrote(uint64_t end) {
    end_ = std::max(end_, end);
    written_ = std::max(written_, end);
    writeback_.until(base_ + end);
}

void OutputFile::append(const void* data, size_t size) {
    const auto* p = static_cast<const uint8_t*>(data);
    held_.insert(held_.end(), p, p + size);
    end_ += size;
    if (held_.size() >= held_limit) flush();
}

void OutputFile::flush() {
    if (held_.empty()) return;
    const uint64_t offset = end_ - held_.size();
    std::vector<uint8_t> bytes;
    bytes.swap(held_);
    write(offset, bytes.data(), bytes.size());
    bytes.clear();
    held_.swap(bytes);
}

void OutputFile::trim() {
    flush();
    if (written_ <= end_) return;
    struct stat st {};
    if (fstat(fd_, &st) != 0) throw_errno("read the size of the image");
    if (static_cast<uint64_t>(st.st_size) > base_ + end_ && ftruncate(fd_, static_cast<off_t>(base_ + end_)) != 0)
        throw_errno("shorten the image");
    written_ = end_;
}

int OutputFile::sqfs_write(sqfs_file_t* file, sqfs_u64 offset, const void* data, size_t size) {
    auto* self = static_cast<OutputFile*>(file);
    try {
        if (offset == self->end_)
            self->append(data, size);
        else
            self->write(offset, data, size);
        return 0;
    } catch (...) {
        self->failure_ = std::current_exception();
        return SQFS_ERROR_IO;
    }
}

int OutputFile::sqfs_read(sqfs_file_t* file, sqfs_u64 offset, void* data, size_t size) {
    auto* self = static_cast<OutputFile*>(file);
    try {
        self->flush();
        auto* p = static_cast<uint8_t*>(data);
        while (size > 0) {
            const ssize_t n = pread(self->fd_, p, size, static_cast<off_t>(self->base_ + offset));
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return SQFS_ERROR_IO;
            p += n, offset += static_cast<uint64_t>(n), size -= static_cast<size_t>(n);
        }
        return 0;
    } catch (...) {
        self->failure_ = std::current_exception();
        return SQFS_ERROR_IO;
    }
}

void OutputFile::check(int answer, const char* doing) {
    if (answer < 0 && failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    check_sqfs(answer, doing);
}

}  // namespace squashfs
