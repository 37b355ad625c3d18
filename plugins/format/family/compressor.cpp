// SPDX-License-Identifier: BSD-3-Clause
#include <family/compressor.hpp>

#include <singularity/error.hpp>

#include <algorithm>
#include <endian.h>
#include <libdeflate.h>
#include <lz4.h>
#include <lzma.h>
#include <new>
#include <sqfs/error.h>
#include <sqfs/io.h>
#include <zstd.h>

namespace squashfs {

using singularity::Code;
using singularity::Error;

namespace {

// What the super block is followed by where a compressor has options: a metadata block that is stored raw.
template <class Options>
int write_raw_block(sqfs_file_t* file, const Options& options) {
    const struct __attribute__((packed)) {
        uint16_t header;
        Options options;
    } block{htole16(0x8000 | sizeof options), options};
    const int error = file->write_at(file, sizeof(sqfs_super_t), &block, sizeof block);
    return error < 0 ? error : static_cast<int>(sizeof block);
}

// A compressor of our own. `Library` has its state: Library(level, block_size), which throws std::bad_alloc;
// compress(in, size, out, capacity), 0 for what does not fit; write_options(level, file); describe(configuration); and
// `id`.
template <class Library>
struct Own : sqfs_compressor_t {
    Library library;
    const int level;
    const uint32_t block_size;

    Own(int l, uint32_t size) : sqfs_compressor_t{}, library(l, size), level(l), block_size(size) {
        base.destroy = [](sqfs_object_t* object) { delete reinterpret_cast<Own*>(object); };
        base.copy = [](const sqfs_object_t* object) -> sqfs_object_t* {
            const auto* from = reinterpret_cast<const Own*>(object);
            try {
                return reinterpret_cast<sqfs_object_t*>(new Own(from->level, from->block_size));
            } catch (const std::bad_alloc&) {
                return nullptr;
            }
        };
        get_configuration = [](const sqfs_compressor_t* self, sqfs_compressor_config_t* out) {
            const auto* own = static_cast<const Own*>(self);
            *out = {};
            out->id = Library::id;
            out->block_size = own->block_size;
            out->level = static_cast<uint32_t>(own->level);
            own->library.describe(*out);
        };
        write_options = [](sqfs_compressor_t* self, sqfs_file_t* file) {
            return Library::write_options(static_cast<const Own*>(self)->level, file);
        };
        read_options = [](sqfs_compressor_t*, sqfs_file_t*) -> int { return SQFS_ERROR_UNSUPPORTED; };
        do_block = [](sqfs_compressor_t* self, const sqfs_u8* in, sqfs_u32 size, sqfs_u8* out,
                      sqfs_u32 capacity) -> sqfs_s32 {
            const size_t n = static_cast<Own*>(self)->library.compress(in, size, out, capacity);
            return n < size ? static_cast<sqfs_s32>(n) : 0;
        };
    }
};

class Deflate {
public:
    static constexpr auto id = SQFS_COMP_GZIP;

    Deflate(int level, uint32_t) : state_(libdeflate_alloc_compressor(level)) {
        if (!state_) throw std::bad_alloc();
    }
    ~Deflate() { libdeflate_free_compressor(state_); }
    Deflate(const Deflate&) = delete;
    Deflate& operator=(const Deflate&) = delete;

    size_t compress(const void* in, size_t size, void* out, size_t capacity) {
        return libdeflate_zlib_compress(state_, in, size, out, capacity);
    }
    static void describe(sqfs_compressor_config_t& out) { out.opt.gzip.window_size = 15; }
    // Level, window, strategies (none named: the default).
    static int write_options(int level, sqfs_file_t* file) {
        if (level == 9) return 0;  // what readers take for granted
        struct __attribute__((packed)) {
            uint32_t level;
            uint16_t window, strategies;
        } options{htole32(static_cast<uint32_t>(std::min(level, 9))), htole16(15), 0};
        static_assert(sizeof options == 8);
        return write_raw_block(file, options);
    }

private:
    libdeflate_compressor* state_;
};

class Zstd {
public:
    static constexpr auto id = SQFS_COMP_ZSTD;

    Zstd(int level, uint32_t block_size) : state_(ZSTD_createCCtx()) {
        if (!state_) throw std::bad_alloc();
        ZSTD_CCtx_setParameter(state_, ZSTD_c_compressionLevel, level);
        if (level != 3 || block_size > largest_tuned) return;
        // The tables of matches are small enough for a processor's first cache, and matches may be short, which makes
        // up for it: beside the level's own (15, 16, 5) 16 % less time, and the same size (docs/benchmarks.md).
        ZSTD_CCtx_setParameter(state_, ZSTD_c_strategy, ZSTD_dfast);
        ZSTD_CCtx_setParameter(state_, ZSTD_c_chainLog, 12);
        ZSTD_CCtx_setParameter(state_, ZSTD_c_hashLog, 13);
        ZSTD_CCtx_setParameter(state_, ZSTD_c_minMatch, 4);
    }
    ~Zstd() { ZSTD_freeCCtx(state_); }
    Zstd(const Zstd&) = delete;
    Zstd& operator=(const Zstd&) = delete;

    size_t compress(const void* in, size_t size, void* out, size_t capacity) {
        const size_t n = ZSTD_compress2(state_, out, capacity, in, size);
        return ZSTD_isError(n) ? 0 : n;
    }
    static void describe(sqfs_compressor_config_t&) {}
    static int write_options(int level, sqfs_file_t* file) {
        if (level == 15) return 0;  // what readers take for granted
        return write_raw_block(file, htole32(static_cast<uint32_t>(level)));
    }

private:
    static constexpr uint32_t largest_tuned = 128 << 10;  // larger blocks gain from larger tables
    ZSTD_CCtx* state_;
};

template <class Library>
CompressorPtr own(const SquashfsOptions& options) {
    return CompressorPtr(static_cast<sqfs_compressor_t*>(new Own<Library>(options.level, options.block_size)));
}

// A compressor of the library that keeps to its contract: lz4 of libsquashfs 1.2 hands out blocks that grew, which
// unsquashfs refuses among metadata.
struct Shrinking : sqfs_compressor_t {
    sqfs_compressor_t* inner;
};

sqfs_compressor_t* inner_of(const void* self) { return static_cast<const Shrinking*>(static_cast<const sqfs_compressor_t*>(self))->inner; }

// Takes `inner`.
sqfs_compressor_t* make_shrinking(sqfs_compressor_t* inner) {
    if (!inner) return nullptr;
    auto* self = new (std::nothrow) Shrinking{};
    if (!self) {
        sqfs_destroy(inner);
        return nullptr;
    }
    self->inner = inner;
    self->base.destroy = [](sqfs_object_t* object) {
        sqfs_destroy(inner_of(object));
        delete reinterpret_cast<Shrinking*>(object);
    };
    self->base.copy = [](const sqfs_object_t* object) {
        return reinterpret_cast<sqfs_object_t*>(make_shrinking(static_cast<sqfs_compressor_t*>(sqfs_copy(inner_of(object)))));
    };
    self->get_configuration = [](const sqfs_compressor_t* s, sqfs_compressor_config_t* out) { inner_of(s)->get_configuration(inner_of(s), out); };
    self->write_options = [](sqfs_compressor_t* s, sqfs_file_t* file) { return inner_of(s)->write_options(inner_of(s), file); };
    self->read_options = [](sqfs_compressor_t* s, sqfs_file_t* file) { return inner_of(s)->read_options(inner_of(s), file); };
    self->do_block = [](sqfs_compressor_t* s, const sqfs_u8* in, sqfs_u32 size, sqfs_u8* out, sqfs_u32 capacity) -> sqfs_s32 {
        const sqfs_s32 n = inner_of(s)->do_block(inner_of(s), in, size, out, capacity);
        return n >= 0 && static_cast<sqfs_u32>(n) >= size ? 0 : n;
    };
    return self;
}

}  // namespace

void check_sqfs(int answer, const char* doing) {
    if (answer >= 0) return;
    const std::string what = std::string("cannot ") + doing + " of the squashfs image";
    switch (answer) {
        case SQFS_ERROR_ALLOC: throw Error(Code::limit, what + ": out of memory");
        case SQFS_ERROR_IO: throw Error(Code::io, what + ": writing failed");
        case SQFS_ERROR_OVERFLOW: throw Error(Code::limit, what + ": it grows larger than squashfs can hold");
        default: throw Error(Code::internal, what + ": libsquashfs answers " + std::to_string(answer));
    }
}

CompressorPtr make_compressor(const SquashfsOptions& options) {
    if (options.compressor == Compressor::gzip) return own<Deflate>(options);
    if (options.compressor == Compressor::zstd) return own<Zstd>(options);
    sqfs_compressor_config_t config;
    const auto id = static_cast<SQFS_COMPRESSOR>(options.compressor);
    int answer = sqfs_compressor_config_init(&config, id, options.block_size, 0);
    if (answer == 0 && options.compressor == Compressor::xz)
        config.level = static_cast<uint32_t>(options.level);
    sqfs_compressor_t* made = nullptr;
    if (answer == 0) answer = sqfs_compressor_create(&config, &made);
    if (answer == SQFS_ERROR_UNSUPPORTED)
        throw Error(Code::unsupported, "cannot write squashfs with " + compressor_name(static_cast<uint16_t>(options.compressor)) +
                                           ": not built in");
    check_sqfs(answer, "prepare the compressor");
    made = make_shrinking(made);
    if (!made) throw std::bad_alloc();
    return CompressorPtr(made);
}

CompressorPtr make_storing() {
    auto* self = new sqfs_compressor_t{};
    self->base.destroy = [](sqfs_object_t* object) { delete reinterpret_cast<sqfs_compressor_t*>(object); };
    self->base.copy = [](const sqfs_object_t*) { return reinterpret_cast<sqfs_object_t*>(make_storing().release()); };
    self->get_configuration = [](const sqfs_compressor_t*, sqfs_compressor_config_t* out) { *out = {}; };
    self->write_options = [](sqfs_compressor_t*, sqfs_file_t*) { return 0; };
    self->read_options = [](sqfs_compressor_t*, sqfs_file_t*) { return 0; };
    self->do_block = [](sqfs_compressor_t*, const sqfs_u8*, sqfs_u32, sqfs_u8*, sqfs_u32) -> sqfs_s32 { return 0; };
    return CompressorPtr(self);
}

std::string compressor_library(const SquashfsOptions& options) {
    switch (options.compressor) {
        case Compressor::zstd: return std::string("zstd ") + ZSTD_versionString() + ", small tables";
        case Compressor::gzip: return "libdeflate " LIBDEFLATE_VERSION_STRING;
        case Compressor::lz4: return std::string("lz4 ") + LZ4_versionString();
        default: return std::string("lzma ") + lzma_version_string();
    }
}

CompressorPtr copy_compressor(const sqfs_compressor_t& from) {
    auto* made = static_cast<sqfs_compressor_t*>(sqfs_copy(&from));
    if (!made) throw std::bad_alloc();
    return CompressorPtr(made);
}

}  // namespace squashfs
