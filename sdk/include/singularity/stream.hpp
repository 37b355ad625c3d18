// SPDX-License-Identifier: BSD-3-Clause
// stream.hpp: slices and streams as C++ values.
#pragma once
#include <singularity/error.hpp>

#include <memory>
#include <span>
#include <vector>

namespace singularity {

// Owns one reference of an sg_slice. Moves, does not copy.
class Slice {
public:
    Slice() = default;
    explicit Slice(const sg_slice& raw) : raw_(raw) {}
    Slice(Slice&& other) noexcept : raw_(std::exchange(other.raw_, {})) {}
    Slice& operator=(Slice&& other) noexcept {
        if (this != &other) {
            reset();
            raw_ = std::exchange(other.raw_, {});
        }
        return *this;
    }
    ~Slice() { reset(); }

    // Bytes that the caller keeps alive for as long as the slice's taker was promised.
    static Slice borrowed(const void* data, uint64_t size) {
        sg_slice s{};
        s.data = static_cast<const uint8_t*>(data);
        s.size = size;
        return Slice(s);
    }
    static Slice hole(uint64_t size) { return borrowed(nullptr, size); }
    // Bytes that live as long as the slice (or another reference of it).
    static Slice owned(std::shared_ptr<const void> keep, const void* data, uint64_t size);
    static Slice owned(std::vector<uint8_t> bytes) {
        auto keep = std::make_shared<std::vector<uint8_t>>(std::move(bytes));
        const auto* data = keep->data();
        const auto size = keep->size();
        return owned(std::move(keep), data, size);
    }

    const uint8_t* data() const { return raw_.data; }
    uint64_t size() const { return raw_.size; }
    bool is_hole() const { return raw_.size > 0 && raw_.data == nullptr; }
    bool has_owner() const { return raw_.owner != nullptr; }
    std::span<const uint8_t> bytes() const { return {raw_.data, static_cast<size_t>(raw_.size)}; }
    std::string_view text() const { return {reinterpret_cast<const char*>(raw_.data), static_cast<size_t>(raw_.size)}; }

    void reset() {
        if (raw_.owner && raw_.release) raw_.release(raw_.owner);
        raw_ = {};
    }
    // Gives the reference away, for an out argument.
    sg_slice release() { return std::exchange(raw_, {}); }

private:
    sg_slice raw_{};
};

inline Slice Slice::owned(std::shared_ptr<const void> keep, const void* data, uint64_t size) {
    struct Owner {
        std::shared_ptr<const void> keep;
        long count = 1;
    };
    auto* owner = new Owner{std::move(keep)};
    sg_slice s{};
    s.data = static_cast<const uint8_t*>(data);
    s.size = size;
    s.owner = owner;
    s.retain = [](void* o) { __atomic_add_fetch(&static_cast<Owner*>(o)->count, 1, __ATOMIC_RELAXED); };
    s.release = [](void* o) {
        if (__atomic_sub_fetch(&static_cast<Owner*>(o)->count, 1, __ATOMIC_ACQ_REL) == 0) delete static_cast<Owner*>(o);
    };
    return Slice(s);
}

// Bytes that are pulled. An empty slice is the end.
class Stream {
public:
    virtual ~Stream() = default;
    // The next slice; without an owner it lives until the next call. Throws Error.
    virtual Slice next() = 0;
};

// Hands a Stream over the boundary; the result is closed by its taker.
inline sg_stream* to_c(std::unique_ptr<Stream> stream) {
    struct Wrapped : sg_stream {
        std::unique_ptr<Stream> stream;
    };
    auto* w = new Wrapped;
    w->next = [](sg_stream* self, sg_slice* out, sg_error* err) {
        return guard(err, [&] { *out = static_cast<Wrapped*>(self)->stream->next().release(); });
    };
    w->close = [](sg_stream* self) { delete static_cast<Wrapped*>(self); };
    w->stream = std::move(stream);
    return w;
}

// A stream that came over the boundary; owns it.
class ForeignStream final : public Stream {
public:
    explicit ForeignStream(sg_stream* raw) : raw_(raw) {}
    ForeignStream(const ForeignStream&) = delete;
    ForeignStream& operator=(const ForeignStream&) = delete;
    ~ForeignStream() override {
        if (raw_) raw_->close(raw_);
    }
    Slice next() override {
        sg_slice s{};
        check([&](sg_error* e) { return raw_->next(raw_, &s, e); });
        return Slice(s);
    }

private:
    sg_stream* raw_;
};

// Reads all of a stream into memory; more than `limit` bytes throws Code::limit with `what` in its text.
inline std::string read_all(Stream& stream, uint64_t limit, std::string_view what) {
    std::string out;
    for (;;) {
        Slice s = stream.next();
        if (s.size() == 0) return out;
        if (s.size() > limit - out.size())
            throw Error(Code::limit, std::string(what) + " is larger than the limit of " + std::to_string(limit) + " bytes");
        if (s.is_hole())
            out.append(static_cast<size_t>(s.size()), '\0');
        else
            out.append(s.text());
    }
}

}  // namespace singularity
