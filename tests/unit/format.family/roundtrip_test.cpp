// SPDX-License-Identifier: BSD-3-Clause
// What the writer stores, the reader gives back: bytes and holes of files.
#include "support.hpp"

using namespace testing;
using singularity::Code;
using singularity::Host;
using squashfs::parse_compression;
using squashfs::SquashfsOptions;

BOOST_AUTO_TEST_CASE(contents_of_every_size_come_back_with_every_compressor) {
    for (const char* compression : {"zstd", "zstd:19", "gzip", "gzip:1", "gzip:9", "gzip:12", "lz4", "xz"}) {
        BOOST_TEST_CONTEXT(compression) {
            std::map<std::string, std::string> wanted;
            const auto w = written(parse_compression(compression), 2, [&](auto& writer, MemoryTree& tree) {
                uint32_t seed = 1;
                for (const size_t size : {1u, 100u, 4095u, 131071u, 131072u, 131073u, 300000u, 1048576u}) {
                    for (const bool packed : {true, false}) {
                        const std::string name = std::to_string(size) + (packed ? "t" : "n");
                        ++seed;
                        wanted[name] = packed ? text(seed, size) : noise(seed, size);
                        tree.file(name, size, store(writer, wanted[name], 70000));
                    }
                }
            }, 4096);
            BOOST_TEST(w.size % 4096 == 0u);
            BOOST_TEST(w.file->size() == 4096 + w.size);
            BOOST_TEST((w.file->bytes(0, 4096) == std::string(4096, '\0')));
            for (const auto& [name, bytes] : wanted) BOOST_TEST((read_file(*w, name) == bytes), name);
        }
    }
}

BOOST_AUTO_TEST_CASE(every_block_size_works_and_others_are_refused) {
    for (uint32_t size = 4096; size <= 1u << 20; size *= 2) {
        SquashfsOptions options;
        options.block_size = size;
        const std::string bytes = text(size, 3 * size_t{size} + 77);
        const auto w = written(options, 2, [&](auto& writer, MemoryTree& tree) { tree.file("f", bytes.size(), store(writer, bytes)); });
        BOOST_TEST((read_file(*w, "f") == bytes), size);
    }
    for (const uint32_t size : {0u, 2048u, 5000u, 1u << 21}) {
        SquashfsOptions options;
        options.block_size = size;
        TemporaryFile file;
        BOOST_TEST((failure([&] { squashfs::SquashfsWriter(file.fd(), 0, options, 1u); }).first == Code::invalid));
    }
}

BOOST_AUTO_TEST_CASE(any_part_of_a_file_can_be_read) {
    const std::string bytes = text(5, 500001);
    const auto w = written({}, 1, [&](auto& writer, MemoryTree& tree) { tree.file("f", bytes.size(), store(writer, bytes)); });
    const uint64_t node = (*w).find("f");
    uint64_t x = 1;
    for (int i = 0; i < 500; ++i) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        const uint64_t at = (x >> 33) % 520000, n = (x >> 20) % 200000;
        std::string part(n, '?');
        const uint64_t got = (*w).read(node, at, part.data(), n);
        const std::string wanted = at < bytes.size() ? bytes.substr(at, n) : "";
        BOOST_REQUIRE((part.substr(0, got) == wanted));
        const auto slice = (*w).block(node, at);
        BOOST_REQUIRE(slice.text() == std::string_view(bytes).substr(std::min<size_t>(at, bytes.size()), slice.size()));
        BOOST_REQUIRE((slice.size() > 0) == (at < bytes.size()));
    }
}

BOOST_AUTO_TEST_CASE(blocks_outlive_the_reader) {
    const std::string bytes = text(5, 200000);
    auto w = written({}, 1, [&](auto& writer, MemoryTree& tree) { tree.file("f", bytes.size(), store(writer, bytes)); });
    const auto first = (*w).block((*w).find("f"), 0), tail = (*w).block((*w).find("f"), 131072);
    w.root.reset();
    w.reader.reset();
    BOOST_TEST((std::string(first.text()) + std::string(tail.text()) == bytes));
}

BOOST_AUTO_TEST_CASE(zeros_and_holes_need_no_room) {
    constexpr int64_t mib = 1 << 20;
    struct Case {
        const char* name;
        std::vector<PiecesStream::Piece> pieces;
    };
    const std::vector<Case> cases{
        {"hole", {{-3 * mib, 0}}},
        {"hole and a bit", {{-3 * mib, 0}, {-5, 0}}},
        {"zeros", {{3 * mib, 0}, {17, 0}}},
        {"small hole", {{-100, 0}}},
        {"small zeros", {{100, 0}}},
        {"data, hole, data", {{200000, 'a'}, {-2 * mib, 0}, {200000, 'b'}}},
        {"hole, tail", {{-131072, 0}, {10, 'c'}}},
        {"data, hole", {{131072, 'd'}, {-131072, 0}}},
        {"data, hole to the middle", {{131072, 'e'}, {-70000, 0}}},
        {"parts of a block", {{-10, 0}, {10, 'f'}, {-10, 0}, {131072, 'g'}, {-20, 0}}},
        {"only the last byte", {{-mib, 0}, {1, 'h'}}},
    };
    const auto w = written({}, 2, [&](auto& writer, MemoryTree& tree) {
        for (const auto& c : cases) {
            uint64_t size = 0;
            for (const auto& p : c.pieces) size += static_cast<uint64_t>(std::abs(p.size));
            for (const bool known : {true, false}) {
                PiecesStream stream(c.pieces);
                const uint64_t id = writer.content(c.name, known ? size : SG_SIZE_UNKNOWN, stream, Host());
                tree.file(std::string(c.name) + (known ? "" : "?"), size, id);
            }
        }
    });
    for (const auto& c : cases) {
        std::string wanted;
        for (const auto& p : c.pieces) wanted.append(static_cast<size_t>(std::abs(p.size)), p.size < 0 ? '\0' : p.fill);
        BOOST_TEST((read_file(*w, c.name) == wanted), c.name);
        BOOST_TEST((read_file(*w, std::string(c.name) + "?") == wanted), c.name);
    }
    BOOST_TEST(w.size < 12288u);
    BOOST_TEST((*w).block((*w).find("hole"), 5).is_hole());
    BOOST_TEST((*w).block((*w).find("hole"), 5).size() == 131067u);
}

BOOST_AUTO_TEST_CASE(a_sparse_file_of_300_GiB_is_stored_and_read_far_inside) {
    constexpr int64_t half = int64_t{150} << 30;  // a block list of 9 MB, more than a stack holds
    const auto w = written({}, 1, [&](auto& writer, MemoryTree& tree) {
        PiecesStream stream({{-half, 0}, {300000, 'x'}, {-half, 0}, {5, 'y'}});
        tree.file("f", 2 * half + 300005, writer.content("f", 2 * half + 300005, stream, Host()));
    });
    const uint64_t node = (*w).find("f");
    BOOST_TEST((*w).stat(node).size == static_cast<uint64_t>(2 * half + 300005));
    char buffer[10] = {};
    BOOST_TEST((*w).read(node, 2 * half + 299998, buffer, 10) == 7u);
    BOOST_TEST(std::string(buffer, 7) == std::string("\0\0yyyyy", 7));
    BOOST_TEST((*w).read(node, half - 5, buffer, 10) == 10u);
    BOOST_TEST(std::string(buffer, 10) == std::string("\0\0\0\0\0xxxxx", 10));
    BOOST_TEST((*w).read(node, half + 299995, buffer, 10) == 10u);
    BOOST_TEST(std::string(buffer, 10) == std::string("xxxxx\0\0\0\0\0", 10));
    BOOST_TEST(w.size < 1000000u);
}

BOOST_AUTO_TEST_CASE(an_empty_file_has_no_content) {
    const auto w = written({}, 1, [&](auto& writer, MemoryTree& tree) {
        BOOST_TEST(store(writer, "") == SG_NO_CONTENT);
        tree.file("empty", 0, SG_NO_CONTENT);
    });
    BOOST_TEST(read_file(*w, "empty").empty());
    BOOST_TEST((*w).block((*w).find("empty"), 0).size() == 0u);
    BOOST_TEST(w.reader->placement((*w).find("empty")).shared == UINT64_MAX);
}

BOOST_AUTO_TEST_CASE(small_files_say_which_block_they_share) {
    const auto w = written({}, 1, [&](auto& writer, MemoryTree& tree) {
        tree.file("a", 100, store(writer, text(1, 100)));
        tree.file("b", 200, store(writer, text(2, 200)));
        tree.file("c", 131072 + 50, store(writer, text(3, 131072 + 50)));
        tree.file("d", 131072, store(writer, text(4, 131072)));
    });
    const auto at = [&](const char* name) { return w.reader->placement((*w).find(name)); };
    BOOST_TEST(at("a").shared == 0u);
    BOOST_TEST(at("a").shared_offset == 0u);
    BOOST_TEST(at("a").tail_size == 100u);
    BOOST_TEST(at("b").shared == 0u);
    BOOST_TEST(at("b").shared_offset == 100u);
    BOOST_TEST(at("c").tail_size == 50u);
    BOOST_TEST(at("c").shared_offset == 300u);
    BOOST_TEST(at("d").shared == UINT64_MAX);
}
