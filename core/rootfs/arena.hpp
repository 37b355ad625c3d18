// Memory for very many small things that live together: no per-item overhead, no move on growth.
#pragma once
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace sg {

// A growing array whose items never move. At most 2^32 - 1 items.
template <class T>
class Arena {
    static constexpr unsigned shift = 12;
    static constexpr uint32_t mask = (1u << shift) - 1;

public:
    uint32_t add(T item) {
        if ((size_ & mask) == 0 && (size_ >> shift) == chunks_.size())
            chunks_.push_back(std::make_unique<T[]>(size_t{1} << shift));
        (*this)[size_] = std::move(item);
        return size_++;
    }
    // Makes room up to and with item `i`, new ones default.
    void reach(uint32_t i) {
        while ((i >> shift) >= chunks_.size()) chunks_.push_back(std::make_unique<T[]>(size_t{1} << shift));
        if (i >= size_) size_ = i + 1;
    }
    T& operator[](uint32_t i) { return chunks_[i >> shift][i & mask]; }
    const T& operator[](uint32_t i) const { return chunks_[i >> shift][i & mask]; }
    uint32_t size() const { return size_; }

private:
    std::vector<std::unique_ptr<T[]>> chunks_;
    uint32_t size_ = 0;
};

// Texts copied one after another; each ends in NUL.
class TextArena {
public:
    const char* add(std::string_view s) {
        const size_t need = s.size() + 1;
        if (need > left_) {
            const size_t chunk = need > chunk_size / 4 ? need : chunk_size;
            chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk));
            if (chunk != chunk_size) {  // a long one gets its own
                char* own = chunks_.back().get();
                std::memcpy(own, s.data(), s.size());
                own[s.size()] = '\0';
                return own;
            }
            at_ = chunks_.back().get();
            left_ = chunk;
        }
        char* to = at_;
        if (!s.empty()) std::memcpy(to, s.data(), s.size());
        to[s.size()] = '\0';
        at_ += need;
        left_ -= need;
        return to;
    }

private:
    static constexpr size_t chunk_size = 64 * 1024;
    std::vector<std::unique_ptr<char[]>> chunks_;
    char* at_ = nullptr;
    size_t left_ = 0;
};

}  // namespace sg
