// The memory that one answering thread works in: a request as the kernel gives it, and a reply built in place
// right behind its header, so that one write sends it. Mapped, touched only as far as it is used.
#pragma once
#include <linux/fuse.h>

#include <cstddef>
#include <cstdint>

namespace sg {

class Buffer {
public:
    static constexpr size_t request_size = 16384;        // the kernel asks for 8 KiB or more
    static constexpr size_t payload_size = 1024 * 1024;  // the largest read that we let it ask for

    Buffer();  // throws std::bad_alloc
    ~Buffer();
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    uint8_t* request() { return base_; }
    fuse_out_header& header() { return *reinterpret_cast<fuse_out_header*>(payload() - sizeof(fuse_out_header)); }
    uint8_t* payload() { return base_ + request_size + page; }  // page-aligned

private:
    static constexpr size_t page = 4096;
    static constexpr size_t mapped = request_size + page + payload_size;
    uint8_t* base_;
};

}  // namespace sg
