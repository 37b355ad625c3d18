// Texts that are overwritten before their memory is given back: passwords, tokens, files that hold them.
#pragma once
#include <string.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <vector>

namespace sg {

template <class T>
struct WipingAllocator {
    using value_type = T;
    WipingAllocator() = default;
    template <class U>
    WipingAllocator(const WipingAllocator<U>&) {}
    T* allocate(size_t n) { return static_cast<T*>(::operator new(n * sizeof(T))); }
    void deallocate(T* at, size_t n) {
        explicit_bzero(at, n * sizeof(T));
        ::operator delete(at);
    }
    friend bool operator==(const WipingAllocator&, const WipingAllocator&) { return true; }
};

// A vector and no string: a string keeps short texts in itself, where a move leaves a copy.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string_view text) : bytes_(text.begin(), text.end()) {}

    std::string_view view() const { return {bytes_.data(), bytes_.size()}; }
    bool empty() const { return bytes_.empty(); }
    size_t size() const { return bytes_.size(); }
    char* data() { return bytes_.data(); }
    void resize(size_t size) { bytes_.resize(size); }
    void append(std::string_view text) { bytes_.insert(bytes_.end(), text.begin(), text.end()); }
    void push(char c) { bytes_.push_back(c); }

private:
    std::vector<char, WipingAllocator<char>> bytes_;
};

// The same for RapidJSON, which does not say how much it frees: the size stands before the block.
class WipingJsonAllocator {
public:
    static constexpr bool kNeedFree = true;
    void* Malloc(size_t size) {
        if (size == 0) return nullptr;
        auto* block = static_cast<size_t*>(std::malloc(size + header));
        if (!block) throw std::bad_alloc();
        *block = size;
        return reinterpret_cast<char*>(block) + header;
    }
    void* Realloc(void* from, size_t old_size, size_t size) {
        void* to = Malloc(size);
        if (from && to) std::memcpy(to, from, old_size < size ? old_size : size);
        Free(from);
        return to;
    }
    static void Free(void* at) {
        if (!at) return;
        auto* block = reinterpret_cast<size_t*>(static_cast<char*>(at) - header);
        explicit_bzero(at, *block);
        std::free(block);
    }

private:
    static constexpr size_t header = alignof(std::max_align_t);
};

}  // namespace sg
