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

struct Deflate : sqfs_compressor_t {
    libdeflate_compressor* state;
    int level;
    uint32_t block_size;
};

sqfs_object_t* make_deflate(int level, uint32_t block_size);

void deflate_destroy(sqfs_object_t* object) {
    auto* self = reinterpret_cast<Deflate*>(object);
    libdeflate_free_compressor(self->state);
    delete self;
}

sqfs_object_t* deflate_copy(const sqfs_object_t* object) {
    const auto* self = reinterpret_cast<const Deflate*>(object);
    return make_deflate(self->level, self->block_size);
}

void deflate_configuration(const sqfs_compressor_t* self, sqfs_compressor_config_t* out) {
    const auto* d = static_cast<const Deflate*>(self);
    *out = {};
    out->id = SQFS_COMP_GZIP;
    out->block_size = d->block_size;
    out->level = static_cast<uint32_t>(d->level);
    out->opt.gzip.window_size = 15;
}

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

// Level, window, strategies (none named: the default).
int deflate_write_options(sqfs_compressor_t* self, sqfs_file_t* file) {
    const auto* d = static_cast<const Deflate*>(self);
    if (d->level == 9) return 0;  // what readers take for granted
    struct __attribute__((packed)) {
        uint32_t level;
        uint16_t window, strategies;
    } options{htole32(static_cast<uint32_t>(std::min(d->level, 9))), htole16(15), 0};
    static_assert(sizeof options == 8);
    return write_raw_block(file, options);
}

int no_options_to_read(sqfs_compressor_t*, sqfs_file_t*) { return SQFS_ERROR_UNSUPPORTED; }

sqfs_s32 deflate_block(sqfs_compressor_t* self, const sqfs_u8* in, sqfs_u32 size, sqfs_u8* out, sqfs_u32 capacity) {
    const size_t n = libdeflate_zlib_compress(static_cast<Deflate*>(self)->state, in, size, out, capacity);
    return n < size ? static_cast<sqfs_s32>(n) : 0;
}

sqfs_object_t* make_deflate(int level, uint32_t block_size) {
    auto* state = libdeflate_alloc_compressor(level);
    if (!state) return nullptr;
    auto* self = new (std::nothrow) Deflate{};
    if (!self) {
        libdeflate_free_compressor(state);
        return nullptr;
    }
    self->base.destroy = deflate_destroy;
    self->base.copy = deflate_copy;
    self->get_configuration = deflate_configuration;
    self->write_options = deflate_write_options;
    self->read_options = no_options_to_read;
    self->do_block = deflate_block;
    self->state = state;
    self->level = level;
    self->block_size = block_size;
    return reinterpret_cast<sqfs_object_t*>(self);
}

// Of level 3, for blocks of up to 128 KiB: the tables of matches are small enough for a processor's first cache, and
// matches may be short, which makes up for it. Beside the level's own (15, 16, 5) it takes 16 % less time and gives
// the same size.
constexpr struct {
    int level = 3, chain_log = 12, hash_log = 13, minimum_match = 4;
    uint32_t largest_block = 128 << 10;
} tuned;

struct Zstd : sqfs_compressor_t {
    ZSTD_CCtx* state;
    int level;
    uint32_t block_size;
};

sqfs_object_t* make_zstd(int level, uint32_t block_size);

void zstd_destroy(sqfs_object_t* object) {
    auto* self = reinterpret_cast<Zstd*>(object);
    ZSTD_freeCCtx(self->state);
    delete self;
}

sqfs_object_t* zstd_copy(const sqfs_object_t* object) {
    const auto* self = reinterpret_cast<const Zstd*>(object);
    return make_zstd(self->level, self->block_size);
}

void zstd_configuration(const sqfs_compressor_t* self, sqfs_compressor_config_t* out) {
    const auto* z = static_cast<const Zstd*>(self);
    *out = {};
    out->id = SQFS_COMP_ZSTD;
    out->block_size = z->block_size;
    out->level = static_cast<uint32_t>(z->level);
}

int zstd_write_options(sqfs_compressor_t* self, sqfs_file_t* file) {
    const int level = static_cast<const Zstd*>(self)->level;
    if (level == 15) return 0;  // what readers take for granted
    return write_raw_block(file, htole32(static_cast<uint32_t>(level)));
}

sqfs_s32 zstd_block(sqfs_compressor_t* self, const sqfs_u8* in, sqfs_u32 size, sqfs_u8* out, sqfs_u32 capacity) {
    const size_t n = ZSTD_compress2(static_cast<Zstd*>(self)->state, out, capacity, in, size);
    return !ZSTD_isError(n) && n < size ? static_cast<sqfs_s32>(n) : 0;
}

sqfs_object_t* make_zstd(int level, uint32_t block_size) {
    auto* state = ZSTD_createCCtx();
    if (!state) return nullptr;
    auto* self = new (std::nothrow) Zstd{};
    if (!self) {
        ZSTD_freeCCtx(state);
        return nullptr;
    }
    ZSTD_CCtx_setParameter(state, ZSTD_c_compressionLevel, level);
    if (level == tuned.level && block_size <= tuned.largest_block) {
        ZSTD_CCtx_setParameter(state, ZSTD_c_strategy, ZSTD_dfast);
        ZSTD_CCtx_setParameter(state, ZSTD_c_chainLog, tuned.chain_log);
        ZSTD_CCtx_setParameter(state, ZSTD_c_hashLog, tuned.hash_log);
        ZSTD_CCtx_setParameter(state, ZSTD_c_minMatch, tuned.minimum_match);
    }
    self->base.destroy = zstd_destroy;
    self->base.copy = zstd_copy;
    self->get_configuration = zstd_configuration;
    self->write_options = zstd_write_options;
    self->read_options = no_options_to_read;
    self->do_block = zstd_block;
    self->state = state;
    self->level = level;
    self->block_size = block_size;
    return reinterpret_cast<sqfs_object_t*>(self);
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
    if (options.compressor == Compressor::gzip || options.compressor == Compressor::zstd) {
        auto* made = (options.compressor == Compressor::gzip ? make_deflate : make_zstd)(options.level, options.block_size);
        if (!made) throw std::bad_alloc();
        return CompressorPtr(reinterpret_cast<sqfs_compressor_t*>(made));
    }
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
