#include "rootfs/decompress.hpp"

#include <bzlib.h>
#include <isa-l/igzip_lib.h>
#include <lzma.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>

#include "base/error.hpp"

namespace sg {

using singularity::Slice;
using singularity::Stream;

Compression compression_of(std::string_view b) {
    using namespace std::string_view_literals;
    if (b.starts_with("\x1f\x8b"sv)) return Compression::gzip;
    if (b.starts_with("\x28\xb5\x2f\xfd"sv)) return Compression::zstd;
    // A skippable frame, first byte 50 to 5f: zstd:chunked and pzstd begin with one.
    if (b.size() >= 4 && (static_cast<uint8_t>(b[0]) & 0xf0) == 0x50 && b.substr(1, 3) == "\x2a\x4d\x18"sv)
        return Compression::zstd;
    if (b.starts_with("\xfd" "7zXZ\0"sv)) return Compression::xz;
    if (b.size() >= 4 && b.starts_with("BZh"sv) && b[3] >= '1' && b[3] <= '9') return Compression::bzip2;
    return Compression::none;
}

namespace {

[[noreturn]] void corrupt(std::string what) { throw Error(Code::corrupt, std::move(what)); }

// The compressed bytes with those that told the compression put back in front. Holes are given as zeros.
class Input {
public:
    Input(std::unique_ptr<Stream> from, std::string head, Slice rest)
        : from_(std::move(from)), head_(std::move(head)), rest_(std::move(rest)) {}

    // More bytes, valid until the next call; empty at the end.
    std::span<const uint8_t> more() {
        if (!head_given_) {
            head_given_ = true;
            if (!head_.empty()) return {reinterpret_cast<const uint8_t*>(head_.data()), head_.size()};
        }
        if (rest_.size() > 0)
            current_ = std::move(rest_);
        else if (hole_ == 0)
            current_ = from_->next();
        if (hole_ > 0 || current_.is_hole()) {
            if (hole_ == 0) hole_ = current_.size();
            static constexpr uint8_t zeros[4096] = {};
            const auto n = static_cast<size_t>(std::min<uint64_t>(hole_, sizeof zeros));
            hole_ -= n;
            return {zeros, n};
        }
        return current_.bytes();
    }

private:
    std::unique_ptr<Stream> from_;
    std::string head_;
    Slice rest_, current_;
    uint64_t hole_ = 0;
    bool head_given_ = false;
};

// A compression: fills buffers from an Input.
class Codec : public Stream {
public:
    Codec(Input in, std::shared_ptr<BufferPool> pool) : in_(std::move(in)), pool_(std::move(pool)) {}

    Slice next() final {
        if (done_) return {};
        BufferPool::Buffer buffer = pool_->take();
        const uint64_t n = fill(buffer.data(), BufferPool::size);
        if (n == 0) {
            done_ = true;
            return {};
        }
        return std::move(buffer).slice(n);
    }

protected:
    // Writes up to `room` bytes; 0 only at the end.
    virtual uint64_t fill(uint8_t* to, uint64_t room) = 0;

    // Bytes not consumed yet. False at the end of the input.
    bool refill() {
        if (!bytes_.empty()) return true;
        if (input_ended_) return false;
        bytes_ = in_.more();
        input_ended_ = bytes_.empty();
        return !input_ended_;
    }
    // After the last member: only zeros may be left.
    void only_zeros_left(const char* name) {
        while (refill()) {
            if (std::any_of(bytes_.begin(), bytes_.end(), [](uint8_t b) { return b != 0; }))
                corrupt(std::string("damaged ") + name + " data: something else follows its end");
            bytes_ = {};
        }
    }

    std::span<const uint8_t> bytes_;

private:
    Input in_;
    std::shared_ptr<BufferPool> pool_;
    bool done_ = false, input_ended_ = false;
};

class Gzip final : public Codec {
public:
    using Codec::Codec;

private:
    uint64_t fill(uint8_t* to, uint64_t room) override {
        uint64_t made = 0;
        while (made < room) {
            if (!in_member_ && !begin_member()) break;
            if (!refill()) corrupt("truncated gzip data");
            state_->next_in = const_cast<uint8_t*>(bytes_.data());
            state_->avail_in = static_cast<uint32_t>(std::min<size_t>(bytes_.size(), 1u << 30));
            state_->next_out = to + made;
            state_->avail_out = static_cast<uint32_t>(room - made);
            const int rc = isal_inflate(state_.get());
            bytes_ = bytes_.subspan(static_cast<size_t>(state_->next_in - bytes_.data()));
            made = room - state_->avail_out;
            if (rc == ISAL_INCORRECT_CHECKSUM) corrupt("damaged gzip data: wrong checksum");
            if (rc < 0 || rc == ISAL_NEED_DICT) corrupt("damaged gzip data");
            if (state_->block_state == ISAL_BLOCK_FINISH) in_member_ = false;
        }
        return made;
    }

    // At the start and after each member: is there another?
    bool begin_member() {
        if (!refill()) return false;
        if (bytes_[0] == 0 && members_ > 0) {
            only_zeros_left("gzip");
            return false;
        }
        if (bytes_[0] != 0x1f) corrupt("damaged gzip data: something else follows its end");
        if (!state_) {
            state_ = std::make_unique<inflate_state>();
            isal_inflate_init(state_.get());
        } else {
            isal_inflate_reset(state_.get());
        }
        state_->crc_flag = ISAL_GZIP;
        ++members_;
        return in_member_ = true;
    }

    std::unique_ptr<inflate_state> state_;
    bool in_member_ = false;
    uint64_t members_ = 0;
};

class Zstd final : public Codec {
public:
    Zstd(Input in, std::shared_ptr<BufferPool> pool) : Codec(std::move(in), std::move(pool)) {
        if (!context_) throw Error(Code::limit, "out of memory");
    }

private:
    uint64_t fill(uint8_t* to, uint64_t room) override {
        ZSTD_outBuffer out{to, room, 0};
        while (out.pos < out.size) {
            // What a full output left inside must come out before more input is asked for.
            if (!flushing_ && !refill()) {
                if (!at_boundary_) corrupt("truncated zstd data");
                break;
            }
            ZSTD_inBuffer in{bytes_.data(), bytes_.size(), 0};
            const size_t before = out.pos;
            const size_t rc = ZSTD_decompressStream(context_.get(), &out, &in);
            if (ZSTD_isError(rc)) corrupt(std::string("damaged zstd data: ") + ZSTD_getErrorName(rc));
            if (in.pos == 0 && out.pos == before && !flushing_) corrupt("damaged zstd data: no progress");
            bytes_ = bytes_.subspan(in.pos);
            at_boundary_ = rc == 0;
            flushing_ = rc != 0 && out.pos == out.size;
        }
        return out.pos;
    }

    struct Free {
        void operator()(ZSTD_DCtx* c) const { ZSTD_freeDCtx(c); }
    };
    std::unique_ptr<ZSTD_DCtx, Free> context_{ZSTD_createDCtx()};
    bool at_boundary_ = true, flushing_ = false;
};

class Xz final : public Codec {
public:
    Xz(Input in, std::shared_ptr<BufferPool> pool) : Codec(std::move(in), std::move(pool)) {
        constexpr uint64_t memory = 512 << 20;  // `xz -9` needs 65 MiB
        if (lzma_stream_decoder(&state_, memory, LZMA_CONCATENATED) != LZMA_OK) throw Error(Code::limit, "out of memory");
    }
    ~Xz() override { lzma_end(&state_); }

private:
    uint64_t fill(uint8_t* to, uint64_t room) override {
        state_.next_out = to;
        state_.avail_out = room;
        while (state_.avail_out > 0 && !ended_) {
            const bool more = refill();
            state_.next_in = bytes_.data();
            state_.avail_in = bytes_.size();
            const lzma_ret rc = lzma_code(&state_, more ? LZMA_RUN : LZMA_FINISH);
            bytes_ = bytes_.last(state_.avail_in);
            if (rc == LZMA_STREAM_END)
                ended_ = true;
            else if (rc == LZMA_MEMLIMIT_ERROR)
                throw Error(Code::limit, "xz data needs more than 512 MiB of memory to decompress");
            else if (rc == LZMA_BUF_ERROR && !more)
                corrupt("truncated xz data");
            else if (rc != LZMA_OK)
                corrupt("damaged xz data");
        }
        if (ended_ && refill()) corrupt("damaged xz data: something else follows its end");
        return room - state_.avail_out;
    }

    lzma_stream state_ = LZMA_STREAM_INIT;
    bool ended_ = false;
};

class Bzip2 final : public Codec {
public:
    using Codec::Codec;
    ~Bzip2() override {
        if (in_stream_) BZ2_bzDecompressEnd(&state_);
    }

private:
    uint64_t fill(uint8_t* to, uint64_t room) override {
        uint64_t made = 0;
        while (made < room) {
            if (!in_stream_ && !begin_stream()) break;
            if (!refill()) corrupt("truncated bzip2 data");
            const auto given = static_cast<unsigned>(std::min<size_t>(bytes_.size(), 1u << 30));
            state_.next_in = reinterpret_cast<char*>(const_cast<uint8_t*>(bytes_.data()));
            state_.avail_in = given;
            state_.next_out = reinterpret_cast<char*>(to) + made;
            state_.avail_out = static_cast<unsigned>(room - made);
            const int rc = BZ2_bzDecompress(&state_);
            bytes_ = bytes_.subspan(given - state_.avail_in);
            made = room - state_.avail_out;
            if (rc == BZ_STREAM_END) {
                BZ2_bzDecompressEnd(&state_);
                in_stream_ = false;
            } else if (rc != BZ_OK) {
                corrupt("damaged bzip2 data");
            }
        }
        return made;
    }

    bool begin_stream() {
        if (!refill()) return false;
        if (bytes_[0] == 0 && streams_ > 0) {
            only_zeros_left("bzip2");
            return false;
        }
        if (bytes_[0] != 'B') corrupt("damaged bzip2 data: something else follows its end");
        state_ = {};
        if (BZ2_bzDecompressInit(&state_, 0, 0) != BZ_OK) throw Error(Code::limit, "out of memory");
        ++streams_;
        return in_stream_ = true;
    }

    bz_stream state_{};
    bool in_stream_ = false;
    uint64_t streams_ = 0;
};

// Nothing to decompress: the head that was read, then the rest.
class Plain final : public Stream {
public:
    Plain(std::unique_ptr<Stream> from, std::string head, Slice rest) : from_(std::move(from)), rest_(std::move(rest)) {
        if (!head.empty()) head_ = Slice::owned(std::vector<uint8_t>(head.begin(), head.end()));
    }
    Slice next() override {
        if (head_.size() > 0) return std::move(head_);
        if (rest_.size() > 0) return std::move(rest_);
        return from_->next();
    }

private:
    std::unique_ptr<Stream> from_;
    Slice head_, rest_;
};

// The compression is told by the first bytes, which is known at the first call of next.
class Decompressing final : public Stream {
public:
    Decompressing(std::unique_ptr<Stream> from, std::shared_ptr<BufferPool> pool)
        : from_(std::move(from)), pool_(std::move(pool)) {}

    Slice next() override {
        if (!inner_) inner_ = begin();
        return inner_->next();
    }

private:
    std::unique_ptr<Stream> begin() {
        constexpr size_t need = 6;
        std::string head;
        Slice rest = from_->next();
        if (rest.is_hole() || rest.size() >= need) {
            const auto kind = rest.is_hole() ? Compression::none : compression_of(rest.text());
            return make(kind, {}, std::move(rest));
        }
        // Tiny slices: gather the head.
        while (rest.size() > 0) {
            if (rest.is_hole()) break;
            head.append(rest.text());
            rest.reset();
            if (head.size() >= need) break;
            rest = from_->next();
        }
        const auto kind = compression_of(head);
        return make(kind, std::move(head), std::move(rest));
    }

    std::unique_ptr<Stream> make(Compression kind, std::string head, Slice rest) {
        if (kind == Compression::none) {
            // `rest` may live only until the next call of from_: it is given before that.
            return std::make_unique<Plain>(std::move(from_), std::move(head), std::move(rest));
        }
        Input in(std::move(from_), std::move(head), std::move(rest));
        switch (kind) {
            case Compression::gzip: return std::make_unique<Gzip>(std::move(in), pool_);
            case Compression::zstd: return std::make_unique<Zstd>(std::move(in), pool_);
            case Compression::xz: return std::make_unique<Xz>(std::move(in), pool_);
            default: return std::make_unique<Bzip2>(std::move(in), pool_);
        }
    }

    std::unique_ptr<Stream> from_, inner_;
    std::shared_ptr<BufferPool> pool_;
};

}  // namespace

std::unique_ptr<Stream> decompress(std::unique_ptr<Stream> from, std::shared_ptr<BufferPool> pool) {
    if (!pool) pool = BufferPool::make();
    return std::make_unique<Decompressing>(std::move(from), std::move(pool));
}

}  // namespace sg
