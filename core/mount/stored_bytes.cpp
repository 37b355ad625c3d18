#include "mount/stored_bytes.hpp"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>

namespace sg {

namespace {

constexpr size_t most_blocks = 64;  // of a file: the list is read anew each time

}  // namespace

StoredBytes::~StoredBytes() {
    if (base_) munmap(base_, size_);
}

bool StoredBytes::map() noexcept {
    std::call_once(once_, [this] {
        struct stat s;
        const int fd = table_->stored->fd(root_);
        if (fd < 0 || fstat(fd, &s) != 0 || !S_ISREG(s.st_mode) || s.st_size <= 0) return;
        void* p = mmap(nullptr, static_cast<size_t>(s.st_size), PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
        if (p == MAP_FAILED) return;
        base_ = static_cast<uint8_t*>(p);
        size_ = static_cast<uint64_t>(s.st_size);
    });
    return base_ != nullptr;
}

size_t StoredBytes::pieces(uint64_t node, uint64_t offset, uint64_t want, std::span<iovec, most_pieces> out) noexcept {
    if (want < least || !table_->stored || !table_->stored->blocks) return 0;
    sg_stored_block blocks[most_blocks], shared{};
    uint64_t count = 0, shared_offset = 0;
    if (table_->stored->blocks(root_, node, blocks, most_blocks, &count, &shared, &shared_offset, nullptr) != SG_OK || count > most_blocks) return 0;
    // A raw block holds as many bytes of the file as it has; so positions are known as long as all before are raw.
    uint64_t at = 0, left = want;
    size_t used = 0;
    const auto take = [&](const sg_stored_block& block, uint64_t skip_in_block) {
        if (!block.raw || block.size <= skip_in_block) return false;
        const uint64_t size = block.size - skip_in_block;
        const uint64_t from = std::max(at, offset);
        if (from < at + size) {
            const uint64_t place = block.offset + skip_in_block + (from - at), n = std::min(left, at + size - from);
            if (!map() || place > size_ || n > size_ - place) return false;
            iovec* last = used ? &out[used - 1] : nullptr;
            if (last && static_cast<uint8_t*>(last->iov_base) + last->iov_len == base_ + place) {
                last->iov_len += n;
            } else {
                if (used == most_pieces) return false;
                out[used++] = {base_ + place, n};
            }
            left -= n;
        }
        at += size;
        return true;
    };
    for (uint64_t k = 0; k < count && left > 0; ++k) {
        const bool last = k + 1 == count && shared.size == 0;
        if (!last && blocks[k].size != blocks[0].size) return 0;  // damaged: the reader says so
        if (!take(blocks[k], 0)) return 0;
    }
    // The tail lies at the given place of a block that other files share; what follows it there is not ours, but `want` is.
    if (left > 0 && (shared.size == 0 || !take(shared, shared_offset))) return 0;
    return left == 0 ? used : 0;
}

}  // namespace sg
