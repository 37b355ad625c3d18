// SPDX-License-Identifier: BSD-3-Clause
#include <family/meta_table.hpp>

namespace squashfs {

namespace {
constexpr size_t cache_size = size_t{32} << 20;
}

Metadata::Metadata(const ImageView& image, DecompressorPool& decompressors)
    : image_(image), decompressors_(decompressors), cache_(metadata_size, cache_size) {}

BlockCache::Ref Metadata::block(uint64_t at, uint64_t limit, const char* what) {
    if (at >= limit) corrupt(std::string(what) + " ends too early");
    return cache_.get({at, 0}, [&](BlockCache::Block& block, uint8_t* out) {
        uint8_t header[2];
        image_.read(at, header, sizeof header, what);
        const uint32_t stored = le16(header) & 0x7fff;
        if (stored == 0 || stored > metadata_size)
            corrupt(std::string(what) + " has a block of " + std::to_string(stored) + " bytes");
        if (le16(header) & 0x8000) {
            image_.read(at + 2, out, stored, what);
            block.size = stored;
        } else {
            auto d = decompressors_.get();
            image_.read(at + 2, d->input.get(), stored, what);
            const int64_t n = d->run({d->input.get(), stored}, {out, metadata_size});
            if (n <= 0) corrupt(std::string(what) + " does not decompress at byte " + std::to_string(at));
            block.size = static_cast<uint32_t>(n);
        }
        block.stored_end = at + 2 + stored;
    });
}

MetaCursor::MetaCursor(Metadata& metadata, uint64_t start, uint64_t limit, uint64_t ref, const char* what)
    : metadata_(&metadata), limit_(limit), offset_(static_cast<uint32_t>(ref & 0xffff)), what_(what) {
    if (ref >> 16 >= limit - start) corrupt(std::string("a reference points outside ") + what);
    at_ = start + (ref >> 16);
    block_ = metadata.block(at_, limit, what);
    if (offset_ >= block_->size) corrupt(std::string("a reference points behind a block of ") + what);
}

void MetaCursor::next() {
    // Only the last block of a table may be shorter than the others.
    if (block_->size != metadata_size) corrupt(std::string(what_) + " ends too early");
    at_ = block_->stored_end;
    offset_ = 0;
    block_ = metadata_->block(at_, limit_, what_);
}

void MetaCursor::read(void* out, size_t n) {
    auto* p = static_cast<uint8_t*>(out);
    while (n > 0) {
        if (offset_ == block_->size) next();
        const size_t part = std::min<size_t>(n, block_->size - offset_);
        std::memcpy(p, block_->data() + offset_, part);
        p += part, n -= part, offset_ += static_cast<uint32_t>(part);
    }
}

void MetaCursor::skip(uint64_t n) {
    while (n > 0) {
        if (offset_ == block_->size) next();
        const uint64_t part = std::min<uint64_t>(n, block_->size - offset_);
        n -= part, offset_ += static_cast<uint32_t>(part);
    }
}

void MetaCursor::go(const Position& p) {
    if (p.at != at_) block_ = metadata_->block(p.at, limit_, what_);
    at_ = p.at;
    offset_ = p.offset;
    if (offset_ > block_->size) corrupt(std::string("a reference points behind a block of ") + what_);
}

}  // namespace squashfs
