// SPDX-License-Identifier: BSD-3-Clause
#include <family/content_hash.hpp>

#include <singularity/error.hpp>

#include <cerrno>
#include <cstring>
#include <sys/random.h>

namespace squashfs {

namespace {

void random_bytes(void* out, size_t size) {
    auto* p = static_cast<uint8_t*>(out);
    while (size > 0) {
        const ssize_t n = getrandom(p, size, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) throw singularity::Error(singularity::Code::internal, std::string("cannot get random bytes: ") + std::strerror(errno));
        p += n, size -= static_cast<size_t>(n);
    }
}

}  // namespace

ContentHash::ContentHash() {
    random_bytes(nh_, sizeof nh_);
    random_bytes(points_, sizeof points_);
    for (auto& p : points_) p &= prime >> 1;
}

ContentKey ContentHash::operator()(std::span<const uint8_t> bytes) const {
    using wide = unsigned __int128;
    constexpr uint64_t mask = (uint64_t{1} << 56) - 1;
    ContentKey state;
    const uint8_t* p = bytes.data();
    size_t left = bytes.size();
    const auto absorb = [&](const uint8_t* data, unsigned words) {
        wide x = 0, y = 0;
        for (unsigned i = 0; i < words; i += 2) {
            uint64_t w[2];
            std::memcpy(w, data + 8 * i, 16);
            x += static_cast<wide>(w[0] + nh_[i]) * (w[1] + nh_[i + 1]);
            y += static_cast<wide>(w[0] + nh_[i + 2]) * (w[1] + nh_[i + 3]);
        }
        const uint64_t parts[5] = {static_cast<uint64_t>(x) & mask, static_cast<uint64_t>(x >> 56) & mask,
                                   static_cast<uint64_t>(y) & mask, static_cast<uint64_t>(y >> 56) & mask,
                                   static_cast<uint64_t>(x >> 112) | static_cast<uint64_t>(y >> 112) << 16};
        for (const uint64_t part : parts) state = extend(state, part);
    };
    for (; left >= chunk_words * 8; p += chunk_words * 8, left -= chunk_words * 8) absorb(p, chunk_words);
    if (left > 0) {
        uint8_t last[chunk_words * 8];
        const size_t padded = (left + 15) / 16 * 16;
        std::memcpy(last, p, left);
        std::memset(last + left, 0, padded - left);
        absorb(last, static_cast<unsigned>(padded / 8));
    }
    state = extend(state, bytes.size());
    const auto reduce = [](uint64_t h) {
        h = (h & prime) + (h >> 61);
        return h >= prime ? h - prime : h;
    };
    return {reduce(state.a), reduce(state.b)};
}

}  // namespace squashfs
