// SPDX-License-Identifier: BSD-3-Clause
#include <family/decompressor.hpp>

#include <singularity/error.hpp>

#include <algorithm>
#include <libdeflate.h>
#include <limits>
#include <lz4.h>
#include <lzma.h>
#include <new>
#include <zstd.h>

namespace squashfs {

namespace {

// A squashfs block has at most 1 MiB and its dictionary no more; a damaged header may ask for 4 GiB.
constexpr uint64_t lzma_memory = uint64_t{32} << 20;
constexpr size_t smallest_input = 8192;  // of metadata
constexpr size_t most_idle = 256;

class Zstd final : public Decompressor {
public:
    Zstd() : context_(ZSTD_createDCtx()) {
        if (!context_) throw std::bad_alloc();
    }
    ~Zstd() override { ZSTD_freeDCtx(context_); }
    int64_t run(std::span<const uint8_t> in, std::span<uint8_t> out) override {
        const size_t n = ZSTD_decompressDCtx(context_, out.data(), out.size(), in.data(), in.size());
        return ZSTD_isError(n) ? -1 : static_cast<int64_t>(n);
    }

private:
    ZSTD_DCtx* context_;
};

class Inflate final : public Decompressor {
public:
    Inflate() : context_(libdeflate_alloc_decompressor()) {
        if (!context_) throw std::bad_alloc();
    }
    ~Inflate() override { libdeflate_free_decompressor(context_); }
    int64_t run(std::span<const uint8_t> in, std::span<uint8_t> out) override {
        size_t n = 0;
        const auto result = libdeflate_zlib_decompress(context_, in.data(), in.size(), out.data(), out.size(), &n);
        return result == LIBDEFLATE_SUCCESS ? static_cast<int64_t>(n) : -1;
    }

private:
    libdeflate_decompressor* context_;
};

class Lz4 final : public Decompressor {
public:
    int64_t run(std::span<const uint8_t> in, std::span<uint8_t> out) override {
        return LZ4_decompress_safe(reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out.data()),
                                   static_cast<int>(in.size()), static_cast<int>(out.size()));
    }
};

class Xz final : public Decompressor {
public:
    int64_t run(std::span<const uint8_t> in, std::span<uint8_t> out) override {
        uint64_t memory = lzma_memory;
        size_t read = 0, written = 0;
        const auto result =
            lzma_stream_buffer_decode(&memory, 0, nullptr, in.data(), &read, in.size(), out.data(), &written, out.size());
        return result == LZMA_OK ? static_cast<int64_t>(written) : -1;
    }
};

// The LZMA_alone format.
class Lzma final : public Decompressor {
public:
    ~Lzma() override { lzma_end(&stream_); }
    int64_t run(std::span<const uint8_t> in, std::span<uint8_t> out) override {
        if (lzma_alone_decoder(&stream_, lzma_memory) != LZMA_OK) return -1;
        stream_.next_in = in.data();
        stream_.avail_in = in.size();
        stream_.next_out = out.data();
        stream_.avail_out = out.size();
        const auto result = lzma_code(&stream_, LZMA_FINISH);
        if (result != LZMA_STREAM_END && !(result == LZMA_OK && stream_.avail_out == 0)) return -1;
        return static_cast<int64_t>(out.size() - stream_.avail_out);
    }

private:
    lzma_stream stream_ = LZMA_STREAM_INIT;
};

}  // namespace

DecompressorPool::DecompressorPool(uint16_t compressor, uint32_t block_size) : compressor_(compressor), block_size_(block_size) {
    // None is made yet: an image whose hot files and tables are raw may never need one.
    switch (static_cast<Compressor>(compressor)) {
        case Compressor::zstd:
        case Compressor::gzip:
        case Compressor::lz4:
        case Compressor::xz:
        case Compressor::lzma: break;
        default:
            throw singularity::Error(singularity::Code::unsupported,
                                     "cannot read this squashfs image: it is compressed with " + compressor_name(compressor_),
                                     "gzip, xz, lz4, zstd and lzma can be read; root may have the kernel mount other ones");
    }
    idle_.reserve(most_idle);  // so that giving one back never allocates
}

std::unique_ptr<Decompressor> DecompressorPool::make() const {
    std::unique_ptr<Decompressor> d;
    switch (static_cast<Compressor>(compressor_)) {
        case Compressor::zstd: d = std::make_unique<Zstd>(); break;
        case Compressor::gzip: d = std::make_unique<Inflate>(); break;
        case Compressor::lz4: d = std::make_unique<Lz4>(); break;
        case Compressor::xz: d = std::make_unique<Xz>(); break;
        case Compressor::lzma: d = std::make_unique<Lzma>(); break;
        default: break;  // the constructor has refused it
    }
    d->input = std::make_unique_for_overwrite<uint8_t[]>(std::max<size_t>(smallest_input, block_size_));
    return d;
}

DecompressorPool::Lease DecompressorPool::get() {
    {
        std::lock_guard lock(mutex_);
        if (!idle_.empty()) {
            auto d = std::move(idle_.back());
            idle_.pop_back();
            return Lease(*this, std::move(d));
        }
    }
    return Lease(*this, make());
}

void DecompressorPool::give_back(std::unique_ptr<Decompressor> d) noexcept {
    std::lock_guard lock(mutex_);
    if (idle_.size() < most_idle) idle_.push_back(std::move(d));
}

}  // namespace squashfs
