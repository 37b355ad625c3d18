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

// A metadata block, stored raw, behind the super block: level, window, strategies (none named: the default).
int deflate_write_options(sqfs_compressor_t* self, sqfs_file_t* file) {
    const auto* d = static_cast<const Deflate*>(self);
    struct __attribute__((packed)) {
        uint16_t header;
        uint32_t level;
        uint16_t window, strategies;
    } options{htole16(0x8000 | 8), htole32(static_cast<uint32_t>(std::min(d->level, 9))), htole16(15), 0};
    static_assert(sizeof options == 10);
    if (d->level == 9) return 0;  // what readers take for granted
    const int error = file->write_at(file, sizeof(sqfs_super_t), &options, sizeof options);
    return error < 0 ? error : static_cast<int>(sizeof options);
}

int deflate_read_options(sqfs_compressor_t*, sqfs_file_t*) { return SQFS_ERROR_UNSUPPORTED; }

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
    self->read_options = deflate_read_options;
    self->do_block = deflate_block;
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
    if (options.compressor == Compressor::gzip) {
        auto* made = make_deflate(options.level, options.block_size);
        if (!made) throw std::bad_alloc();
        return CompressorPtr(reinterpret_cast<sqfs_compressor_t*>(made));
    }
    sqfs_compressor_config_t config;
    const auto id = static_cast<SQFS_COMPRESSOR>(options.compressor);
    int answer = sqfs_compressor_config_init(&config, id, options.block_size, 0);
    if (answer == 0 && (options.compressor == Compressor::zstd || options.compressor == Compressor::xz))
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
        case Compressor::zstd: return std::string("zstd ") + ZSTD_versionString();
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
