// SPDX-License-Identifier: BSD-3-Clause
// decompressor.hpp: decompresses single blocks of squashfs. Contexts are kept for the threads that come.
#pragma once
#include <family/compression.hpp>

#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace squashfs {

// One thread at a time.
class Decompressor {
public:
    virtual ~Decompressor() = default;
    // Gives the number of bytes written to `out`, or a negative number for damaged or too many bytes.
    virtual int64_t run(std::span<const uint8_t> in, std::span<uint8_t> out) = 0;
    // Room for the compressed bytes of one block.
    std::unique_ptr<uint8_t[]> input;
};

// Any thread.
class DecompressorPool {
public:
    // Throws Code::unsupported for a compressor that is not built in.
    DecompressorPool(uint16_t compressor, uint32_t block_size);

    class Lease {
    public:
        Lease(DecompressorPool& pool, std::unique_ptr<Decompressor> d) : pool_(pool), d_(std::move(d)) {}
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        ~Lease() { pool_.give_back(std::move(d_)); }
        Decompressor* operator->() { return d_.get(); }

    private:
        DecompressorPool& pool_;
        std::unique_ptr<Decompressor> d_;
    };
    Lease get();

private:
    std::unique_ptr<Decompressor> make() const;
    void give_back(std::unique_ptr<Decompressor> d) noexcept;

    const uint16_t compressor_;
    const uint32_t block_size_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Decompressor>> idle_;
};

}  // namespace squashfs
