// SPDX-License-Identifier: BSD-3-Clause
/*
 * libsquashfs' own block processor is the reference: for the same contents in the same order our pipeline
 * stores the same bytes. One difference is meant and left out of the mix here: the library also
 * finds a file's blocks inside a longer file, which takes memory per block; we compare whole files.
 */
#include "support.hpp"

#include <family/compressor.hpp>

#include <sqfs/block.h>
#include <sqfs/block_processor.h>
#include <sqfs/block_writer.h>
#include <sqfs/frag_table.h>
#include <sqfs/inode.h>
#include <sqfs/io.h>

using namespace testing;
using squashfs::parse_compression;
using squashfs::SqfsPtr;

namespace {

std::vector<std::string> mix() {
    std::vector<std::string> out;
    uint64_t x = 99;
    for (uint32_t i = 0; i < 300; ++i) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        const size_t size = 1 + (x >> 40) % (i % 5 == 0 ? 500000 : 20000);
        switch (i % 7) {
            case 0: out.push_back(noise(i, size)); break;
            case 1: out.push_back(std::string(size, '\0')); break;
            case 2: out.push_back(out[(x >> 30) % out.size()]); break;
            case 3: out.push_back(text(i, size / 131072 * 131072 + 131072)); break;
            case 4: out.push_back(text(i, size) + std::string(200000, '\0') + text(i + 1, size)); break;
            default: out.push_back(text(i, size));
        }
    }
    return out;
}

// `hot`: so many of the last files are stored raw.
std::string by_the_library(const squashfs::SquashfsOptions& options, const std::vector<std::string>& files, unsigned workers, size_t hot = 0) {
    const TemporaryDirectory directory;
    const std::string path = directory.path() + "/data";
    const SqfsPtr<sqfs_file_t> file(sqfs_open_file(path.c_str(), SQFS_FILE_OPEN_OVERWRITE));
    BOOST_REQUIRE(file);
    const auto compressor = squashfs::make_compressor(options);
    const std::string head(96, '\0');
    BOOST_REQUIRE_EQUAL(file->write_at(file.get(), 0, head.data(), head.size()), 0);
    BOOST_REQUIRE_GE(compressor->write_options(compressor.get(), file.get()), 0);
    const SqfsPtr<sqfs_block_writer_t> writer(sqfs_block_writer_create(file.get(), 4096, SQFS_BLOCK_WRITER_HASH_COMPARE_ONLY));
    const SqfsPtr<sqfs_frag_table_t> fragments(sqfs_frag_table_create(0));
    sqfs_block_processor_desc_t description{};
    description.size = sizeof description;
    description.max_block_size = options.block_size;
    description.num_workers = workers;
    description.max_backlog = 50;
    description.cmp = compressor.get();
    description.wr = writer.get();
    description.tbl = fragments.get();
    sqfs_block_processor_t* made = nullptr;
    BOOST_REQUIRE_EQUAL(sqfs_block_processor_create_ex(&description, &made), 0);
    {
        const SqfsPtr<sqfs_block_processor_t> processor(made);
        std::vector<sqfs_inode_generic_t*> inodes(files.size());
        for (size_t i = 0; i < files.size(); ++i) {
            const uint32_t flags = i + hot < files.size() ? 0 : SQFS_BLK_DONT_COMPRESS;
            if (hot > 0 && i + hot == files.size()) BOOST_REQUIRE_EQUAL(sqfs_block_processor_finish(made), 0);  // ends the fragment
            BOOST_REQUIRE_EQUAL(sqfs_block_processor_begin_file(made, &inodes[i], nullptr, flags), 0);
            BOOST_REQUIRE_EQUAL(sqfs_block_processor_append(made, files[i].data(), files[i].size()), 0);
            BOOST_REQUIRE_EQUAL(sqfs_block_processor_end_file(made), 0);
        }
        BOOST_REQUIRE_EQUAL(sqfs_block_processor_finish(made), 0);
        for (auto* i : inodes) sqfs_free(i);
    }
    std::string out(file->get_size(file.get()), '\0');
    BOOST_REQUIRE_EQUAL(file->read_at(file.get(), 0, out.data(), out.size()), 0);
    return out.substr(96);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_data_is_byte_for_byte_what_libsquashfs_stores) {
    const auto files = mix();
    for (const char* compression : {"zstd", "gzip", "lz4"}) {
        const auto options = parse_compression(compression);
        const auto w = written(options, 3, [&](auto& writer, MemoryTree&) {
            for (const auto& f : files) store(writer, f);
        });
        const uint64_t end = squashfs::read_super_block(w.file->fd(), 0, w.size).inode_table;
        const std::string theirs = by_the_library(options, files, 2);
        BOOST_TEST(end - 96 == theirs.size(), compression);
        BOOST_TEST((w.file->bytes(96, end - 96) == theirs), compression);
    }
}

BOOST_AUTO_TEST_CASE(hot_files_are_byte_for_byte_what_libsquashfs_stores_raw_behind_all_others) {
    auto files = mix();
    constexpr size_t hot = 5;
    for (const uint32_t size : {131072u, 700u, 300000u, 60000u, 131073u}) files.push_back(text(1000 + size, size));
    for (const char* compression : {"zstd", "gzip", "lz4"}) {
        const auto options = parse_compression(compression);
        const auto w = written(options, 3, [&](auto& writer, MemoryTree&) {
            for (size_t i = 0; i < files.size(); ++i) {
                // Hot ones come in between; they are stored at the end all the same.
                const size_t k = i < hot ? files.size() - hot + i : i - hot;
                BytesStream stream(files[k]);
                writer.content(i < hot ? "usr/lib/libc.so.6" : "usr/share/file", files[k].size(), stream, singularity::Host());
            }
        });
        const uint64_t end = squashfs::read_super_block(w.file->fd(), 0, w.size).inode_table;
        const std::string theirs = by_the_library(options, files, 2, hot);
        BOOST_TEST(end - 96 == theirs.size(), compression);
        BOOST_TEST((w.file->bytes(96, end - 96) == theirs), compression);
    }
}
