#include "mount/buffer.hpp"

#include <sys/mman.h>

#include <new>

namespace sg {

Buffer::Buffer() {
    void* p = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<uint8_t*>(p);
}

Buffer::~Buffer() { munmap(base_, mapped); }

}  // namespace sg
