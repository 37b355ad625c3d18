// SPDX-License-Identifier: BSD-3-Clause
// image_view.hpp: the bytes of an image inside an open file, by pread(2) only: a file that shrinks is an error,
// where a mapping would be a signal. Any thread.
#pragma once
#include <singularity/error.hpp>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <endian.h>
#include <unistd.h>

namespace squashfs {

[[noreturn]] inline void corrupt(const std::string& what) {
    throw singularity::Error(singularity::Code::corrupt, "damaged squashfs image: " + what);
}

inline uint16_t le16(const uint8_t* p) {
    uint16_t v;
    std::memcpy(&v, p, sizeof v);
    return le16toh(v);
}
inline uint32_t le32(const uint8_t* p) {
    uint32_t v;
    std::memcpy(&v, p, sizeof v);
    return le32toh(v);
}
inline uint64_t le64(const uint8_t* p) {
    uint64_t v;
    std::memcpy(&v, p, sizeof v);
    return le64toh(v);
}

// The bytes of an image that lie as they are in no file: those of an encrypted one. Any thread.
class ByteSource {
public:
    virtual ~ByteSource() = default;
    // All `n` bytes at `offset`, which lie within the image; throws.
    virtual void read(uint64_t offset, void* out, size_t n) const = 0;
};

struct ImageView {
    int fd = -1;
    uint64_t base = 0, size = 0;  // of the image in the file
    const ByteSource* source = nullptr;  // instead of the file

    // All `n` bytes at `offset` of the image; `what` for the message, as "the inode table".
    void read(uint64_t offset, void* out, size_t n, const char* what) const {
        if (offset > size || n > size - offset) corrupt(std::string(what) + " lies beyond the end of the image");
        if (source) return source->read(offset, out, n);
        auto* p = static_cast<uint8_t*>(out);
        while (n > 0) {
            const ssize_t got = pread(fd, p, n, static_cast<off_t>(base + offset));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0)
                throw singularity::Error(singularity::Code::io, std::string("cannot read ") + what + " of a squashfs image: " + std::strerror(errno));
            if (got == 0) corrupt(std::string("the file ends within ") + what);
            p += got, offset += static_cast<uint64_t>(got), n -= static_cast<size_t>(got);
        }
    }
};

}  // namespace squashfs
