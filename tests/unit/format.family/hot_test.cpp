// SPDX-License-Identifier: BSD-3-Clause
// Files that every start reads are stored raw, as far as the image's size allows.
#include <family/hot_files.hpp>
#include <set>

#include "support.hpp"

using namespace testing;
using squashfs::Heat;
using squashfs::heat_of;
using squashfs::parse_compression;

namespace {

uint64_t store_as(squashfs::SquashfsWriter& writer, const std::string& path, const std::string& bytes,
                  size_t piece = 100000) {
    BytesStream stream(bytes, piece);
    return writer.content(path.c_str(), bytes.size(), stream, singularity::Host());
}

// Stored blocks of a file as (bytes, raw), the one that it shares last.
std::vector<std::pair<uint64_t, bool>> stored(const Written& w, const std::string& name) {
    std::vector<sg_stored_block> blocks(64);
    sg_stored_block shared{};
    uint64_t offset = 0;
    const uint64_t n = w.reader->blocks((*w).find(name), blocks.data(), blocks.size(), shared, offset);
    std::vector<std::pair<uint64_t, bool>> out;
    for (uint64_t i = 0; i < n; ++i) out.emplace_back(blocks[i].size, blocks[i].raw != 0);
    if (shared.size != 0) out.emplace_back(shared.size, shared.raw != 0);
    return out;
}
bool all_raw(const Written& w, const std::string& name) {
    const auto blocks = stored(w, name);
    return !blocks.empty() && std::all_of(blocks.begin(), blocks.end(), [](const auto& b) { return b.second; });
}
bool none_raw(const Written& w, const std::string& name) {
    const auto blocks = stored(w, name);
    return std::none_of(blocks.begin(), blocks.end(), [](const auto& b) { return b.second; });
}

struct File {
    const char* path;
    const char* name;
    std::string bytes;
};
std::vector<File> system_files() {
    return {{"usr/bin/bash", "bash", text(1, 600000)},
            {"usr/lib/x86_64-linux-gnu/libc.so.6", "libc", text(2, 500000)},
            {"etc/hosts", "hosts", text(3, 3000)},
            {"/etc/passwd", "passwd", text(4, 900)},
            {"lib64/ld-linux-x86-64.so.2", "loader", text(5, 131072)},
            {".singularity.d/env/01-base.sh", "script", text(6, 100)},
            {"usr/bin/gcc", "other", text(7, 700000)},
            {"usr/bin/true", "true", text(8, 30000)}};
}

Written image(const char* compression, unsigned workers, const std::vector<File>& files, size_t piece = 100000) {
    return written(parse_compression(compression), workers, [&](auto& writer, MemoryTree& tree) {
        for (const auto& f : files) tree.file(f.name, f.bytes.size(), store_as(writer, f.path, f.bytes, piece));
    });
}

}  // namespace

BOOST_AUTO_TEST_CASE(loaders_libraries_shells_and_scripts_are_told_by_their_paths) {
    for (const char* path :
         {"lib64/ld-linux-x86-64.so.2", "/usr/lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/ld-2.31.so",
          "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "lib/ld-musl-x86_64.so.1", "lib/ld-linux-aarch64.so.1",
          "lib64/ld64.so.2", "usr/lib/libc.so.6", "lib/x86_64-linux-gnu/libc-2.31.so", "lib64/libc.so.6", "bin/true",
          "usr/bin/true", "etc/passwd", "/etc/group", "etc/nsswitch.conf", "etc/ld.so.cache",
          ".singularity.d/runscript", ".singularity.d/env/99-base.sh"})
        BOOST_TEST((heat_of(path) == Heat::always), path);
    for (const char* path :
         {"bin/sh", "usr/bin/bash", "bin/dash", "bin/busybox", "lib/x86_64-linux-gnu/libtinfo.so.6.2"})
        BOOST_TEST((heat_of(path) == Heat::shell), path);
    for (const char* path : {"", "/", "lib", "lib/", "etc/shadow", "etc/skel/passwd", "opt/bin/sh", "bin/bashbug",
                             "usr/lib/python3/libc.so.6", "usr/lib/x86_64-linux-gnu/a/b/libc.so.6", "usr/lib/libc.a",
                             "lib/libcap.so.2", "usr/share/lib/libc.so.6", "library/libc.so.6", "usr/lib/ld-notes",
                             "home/.singularity.d/x", "usr/bin/true/x"})
        BOOST_TEST((heat_of(path) == Heat::none), path);
}

BOOST_AUTO_TEST_CASE(hot_files_are_stored_raw_and_nothing_else) {
    const auto files = system_files();
    for (const char* compression : {"zstd", "gzip", "lz4", "xz"}) {
        const auto w = image(compression, 2, files);
        for (const auto& f : files) BOOST_TEST((read_file(*w, f.name) == f.bytes), f.name);
        for (const char* hot : {"libc", "loader", "true", "passwd", "script"}) BOOST_TEST(all_raw(w, hot), hot);
        for (const char* cold : {"hosts", "other"}) BOOST_TEST(none_raw(w, cold), cold);
    }
}

BOOST_AUTO_TEST_CASE(raw_files_stay_within_their_share_and_what_all_programs_need_comes_first) {
    // 1 MiB for a small image: the shell no longer fits beside what every program needs.
    const auto files = system_files();
    const auto w = image("zstd", 2, files);
    BOOST_TEST(none_raw(w, "bash"));
    auto more = files;
    for (uint32_t i = 0; i < 30; ++i) more.push_back({"usr/share/data", "data", noise(i, 4u << 20)});
    more.resize(more.size());
    const auto large = written(parse_compression("lz4"), 2, [&](auto& writer, MemoryTree& tree) {
        uint32_t n = 0;
        for (const auto& f : more)
            tree.file(std::string(f.name) + (f.bytes.size() > 2000000 ? std::to_string(n++) : ""), f.bytes.size(),
                      store_as(writer, f.path, f.bytes));
    });
    BOOST_TEST(all_raw(large, "bash"));
    BOOST_TEST(squashfs::hot_budget(0) == 1u << 20);
    BOOST_TEST(squashfs::hot_budget(uint64_t{1} << 40) == squashfs::most_hot_bytes);
}

BOOST_AUTO_TEST_CASE(neither_threads_nor_slices_change_an_image_with_hot_files) {
    const auto files = system_files();
    const std::string bytes = image("zstd", 0, files).bytes();
    for (const unsigned workers : {1u, 2u, 8u}) BOOST_TEST((image("zstd", workers, files, 7777).bytes() == bytes));
}

BOOST_AUTO_TEST_CASE(equal_hot_files_share_their_bytes_and_zeros_need_none) {
    const std::string libc = text(2, 300000), small = text(3, 800), zeros(200000, '\0');
    const auto w = written(parse_compression("zstd"), 2, [&](auto& writer, MemoryTree& tree) {
        tree.file("a", libc.size(), store_as(writer, "lib/libc.so.6", libc));
        tree.file("b", libc.size(), store_as(writer, "usr/lib/libc.so.6", libc));
        tree.file("c", small.size(), store_as(writer, "etc/passwd", small));
        tree.file("d", small.size(), store_as(writer, "etc/group", small));
        tree.file("z", zeros.size(), store_as(writer, "bin/true", zeros));
        BOOST_TEST(store_as(writer, "bin/sh", "") == SG_NO_CONTENT);
    });
    for (const char* name : {"a", "b"}) BOOST_TEST((read_file(*w, name) == libc), name);
    for (const char* name : {"c", "d"}) BOOST_TEST((read_file(*w, name) == small), name);
    BOOST_TEST((read_file(*w, "z") == zeros));
    BOOST_TEST(w.stats.bytes_stored == libc.size() + small.size());
    BOOST_TEST(w.stats.files_shared == 2u);
}

BOOST_AUTO_TEST_CASE(any_part_of_a_raw_file_can_be_read) {
    const auto files = system_files();
    const auto w = image("zstd", 2, files);
    const std::string& libc = files[1].bytes;
    const uint64_t node = (*w).find("libc");
    for (const uint64_t at : {0ull, 1ull, 131071ull, 131072ull, 200000ull, 393216ull, 499999ull})
        for (const uint64_t n : {1ull, 4096ull, 131072ull, 300000ull}) {
            std::string out(n, '?');
            out.resize((*w).read(node, at, out.data(), n));
            BOOST_TEST((out == libc.substr(at, n)), at << " " << n);
        }
    const auto slice = w.reader->block(node, 393216 + 10);
    BOOST_TEST(slice.text() == std::string_view(libc).substr(393216 + 10));
}

BOOST_AUTO_TEST_CASE(a_hot_file_of_another_length_is_refused) {
    for (const size_t size : {99u, 101u}) {
        const auto [code, message] = failure([&] {
            written(parse_compression("zstd"), 1, [&](auto& writer, MemoryTree&) {
                BytesStream stream(std::string(size, 'x'));
                writer.content("etc/passwd", 100, stream, singularity::Host());
            });
        });
        BOOST_TEST((code == singularity::Code::corrupt));
        BOOST_TEST(contains(message, "etc/passwd"), message);
    }
}

BOOST_AUTO_TEST_CASE(tables_are_raw_where_they_are_small_beside_the_data) {
    const auto make = [](uint32_t files, size_t size) {
        return written(parse_compression("zstd"), 2, [&](auto& writer, MemoryTree& tree) {
            for (uint32_t i = 0; i < files; ++i)
                tree.file("f" + std::to_string(i), size, store(writer, noise(i, size)));
        });
    };
    constexpr uint16_t uncompressed_inodes = 1;
    const auto flags = [](const Written& w) {
        const std::string bytes = w.file->bytes(24, 2);
        return static_cast<uint16_t>(static_cast<uint8_t>(bytes[0]) | static_cast<uint8_t>(bytes[1]) << 8);
    };
    const auto large = make(100, 50000), small = make(100, 500);
    BOOST_TEST((flags(large) & uncompressed_inodes) != 0);
    BOOST_TEST((flags(small) & uncompressed_inodes) == 0);
    for (uint32_t i = 0; i < 100; ++i) BOOST_TEST((read_file(*large, "f" + std::to_string(i)) == noise(i, 50000)));
}

// A node is the reference of its inode: block << 16 | offset.
BOOST_AUTO_TEST_CASE(what_every_start_looks_up_lies_together_in_the_table_of_inodes) {
    const std::vector<std::string> met = {"",
                                          ".singularity.d",
                                          ".singularity.d/env",
                                          ".singularity.d/env/01-base.sh",
                                          "dev",
                                          "etc",
                                          "etc/hosts",
                                          "etc/passwd",
                                          "lib",
                                          "tmp",
                                          "usr",
                                          "usr/bin",
                                          "usr/bin/true",
                                          "usr/lib",
                                          "usr/lib/x86_64-linux-gnu",
                                          "usr/lib/x86_64-linux-gnu/libc.so.6",
                                          "var",
                                          "var/tmp"};
    const auto w = written(parse_compression("zstd"), 2, [&](auto& writer, MemoryTree& tree) {
        for (const char* directory : {".singularity.d", ".singularity.d/env", "dev", "etc", "opt", "tmp", "usr",
                                      "usr/bin", "usr/lib", "usr/lib/x86_64-linux-gnu", "var", "var/tmp"})
            tree.add(directory, 040755);
        tree.add("lib", 0120777).target = "usr/lib";
        const uint64_t content = store(writer, "x");
        for (const std::string directory : {"etc", "opt", "usr/bin", "usr/lib", "usr/lib/x86_64-linux-gnu", "var"})
            for (int i = 0; i < 1000; ++i) tree.file(directory + "/other" + std::to_string(i), 1, content);
        for (const char* file : {".singularity.d/env/01-base.sh", "etc/hosts", "etc/passwd", "usr/bin/true",
                                 "usr/lib/x86_64-linux-gnu/libc.so.6"})
            tree.file(file, 1, content);
        tree.link("opt/passwd", "etc/passwd");
    });
    std::set<uint64_t> blocks;
    for (const std::string& path : met)
        if (path != "etc/passwd") blocks.insert((*w).find(path) >> 16);  // it has a name elsewhere, too
    BOOST_TEST(blocks.size() <= 2u);
    BOOST_TEST((*w).find("opt/passwd") == (*w).find("etc/passwd"));
    for (const char* file : {"etc/passwd", "usr/bin/true", "opt/passwd", "var/other999"})
        BOOST_TEST((read_file(*w, file) == "x"), file);
}

BOOST_AUTO_TEST_CASE(directories_on_the_way_to_what_starts_look_up_are_met_as_well) {
    for (const char* path : {"usr/lib/x86_64-linux-gnu/libc.so.6", ".singularity.d/env/01-base.sh", "usr/bin/true",
                             "etc/ld.so.cache", "var/tmp"}) {
        std::string_view way = path;
        for (; !way.empty(); way = way.substr(0, way.rfind('/') == way.npos ? 0 : way.rfind('/')))
            BOOST_TEST(squashfs::met_at_start(way), way);
    }
    for (const char* path : {"opt", "usr/share", "usr/lib/python3", "etc/shadow", "usr/lib/x86_64-linux-gnu/perl"})
        BOOST_TEST(!squashfs::met_at_start(path), path);
}
