// SPDX-License-Identifier: BSD-3-Clause
// Files of another squashfs are taken as they are stored.
#include "support.hpp"

#include <family/adopted.hpp>

#include <sys/mman.h>
#include <unistd.h>

using namespace testing;
using singularity::Code;
using singularity::Host;
using squashfs::parse_compression;
using squashfs::SquashfsWriter;

namespace {

const std::map<std::string, std::string>& contents() {
    static const std::map<std::string, std::string> all = [] {
        std::map<std::string, std::string> out;
        for (uint32_t i = 0; i < 40; ++i) out["small" + std::to_string(i)] = text(i, 100 + i * 997);
        for (uint32_t i = 0; i < 6; ++i) out["large" + std::to_string(i)] = i % 2 ? text(100 + i, 131072 * i + 5000) : noise(i, 131072 * (i + 1));
        out["twice"] = out["large1"];
        out["holes"] = text(7, 131072) + std::string(262144, '\0') + text(8, 131072) + "end";
        out["zeros"] = std::string(300000, '\0');
        return out;
    }();
    return all;
}

Written source(const char* compression, uint64_t base = 0) {
    return written(parse_compression(compression), 2, [](auto& writer, MemoryTree& tree) {
        for (const auto& [name, bytes] : contents()) tree.file(name, bytes.size(), store(writer, bytes));
        tree.file("empty", 0, SG_NO_CONTENT);
    }, base);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_whole_image_is_taken_without_compressing_a_block) {
    for (const char* compression : {"zstd", "gzip", "lz4", "xz"}) {
        for (const uint64_t from_base : {uint64_t{0}, uint64_t{12288}}) {
            const auto from = source(compression, from_base);
            const auto w = written(parse_compression(std::string(compression) == "zstd" ? "zstd:9" : compression), 2, [&](auto& writer, MemoryTree& tree) {
                for (const auto& [name, bytes] : contents()) {
                    const uint64_t id = writer.adopt(*from, (*from).find(name));
                    BOOST_REQUIRE(id != SG_NO_CONTENT);
                    tree.file(name, bytes.size(), id);
                }
                BOOST_TEST(writer.adopt(*from, (*from).find("empty")) == SG_NO_CONTENT);
                BOOST_TEST(writer.adopt(*from, (*from).root()) == SG_NO_CONTENT);
            }, 4096);
            for (const auto& [name, bytes] : contents()) BOOST_TEST((read_file(*w, name) == bytes), name);
            BOOST_TEST(w.stats.blocks_compressed == 0u);
            BOOST_TEST(w.stats.blocks_adopted == from.stats.blocks_compressed - 1);  // "twice" was compressed, yet is stored once
            BOOST_TEST(w.stats.bytes_stored == from.stats.bytes_stored);
        }
    }
}

BOOST_AUTO_TEST_CASE(taken_and_new_contents_mix_and_sources_may_close) {
    std::optional<Written> from = source("zstd");
    const auto w = written({}, 2, [&](auto& writer, MemoryTree& tree) {
        uint32_t seed = 500;
        for (const auto& [name, bytes] : contents()) {
            tree.file(name, bytes.size(), writer.adopt(**from, (**from).find(name)));
            const std::string fresh = text(++seed, 50000);
            tree.file("new " + name, fresh.size(), store(writer, fresh));
        }
        from.reset();
    });
    uint32_t seed = 500;
    for (const auto& [name, bytes] : contents()) {
        BOOST_TEST((read_file(*w, name) == bytes), name);
        BOOST_TEST((read_file(*w, "new " + name) == text(++seed, 50000)), name);
    }
}

BOOST_AUTO_TEST_CASE(taking_is_refused_when_blocks_do_not_fit) {
    const auto from = source("zstd");
    TemporaryFile file;
    SquashfsWriter gzip(file.fd(), 0, parse_compression("gzip"), 1u);
    BOOST_TEST(gzip.adopt(*from, (*from).find("large1")) == SG_NO_CONTENT);
    squashfs::SquashfsOptions options;
    options.block_size = 65536;
    SquashfsWriter smaller(file.fd(), 0, options, 1u);
    BOOST_TEST(smaller.adopt(*from, (*from).find("large1")) == SG_NO_CONTENT);
    MemoryTree tree;
    BOOST_TEST(smaller.adopt(tree.foreign(), 0) == SG_NO_CONTENT);
}

BOOST_AUTO_TEST_CASE(the_same_file_is_taken_once) {
    const auto from = source("zstd");
    TemporaryFile file;
    SquashfsWriter writer(file.fd(), 0, {}, 1u);
    const uint64_t a = writer.adopt(*from, (*from).find("large1"));
    BOOST_TEST(writer.adopt(*from, (*from).find("large1")) == a);
    BOOST_TEST(writer.adopt(*from, (*from).find("twice")) == a);  // stored once there too
    BOOST_TEST(writer.adopt(*from, (*from).find("small1")) != a);
    // Another open reader of the same file is the same source.
    const auto again = squashfs::open_squashfs(from.file->fd(), 0, from.size);
    BOOST_TEST(writer.adopt(*Foreign(*again), again->lookup(again->root(), "large1")) == a);
}

BOOST_AUTO_TEST_CASE(a_source_on_another_file_system_is_copied_by_hand) {
    const auto from = source("zstd");
    const std::string bytes = from.bytes();
    const int fd = memfd_create("source", MFD_CLOEXEC);
    BOOST_REQUIRE(fd >= 0);
    BOOST_REQUIRE_EQUAL(pwrite(fd, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    const auto reader = squashfs::open_squashfs(fd, 0, bytes.size());
    const Foreign root(*reader);
    const auto w = written({}, 2, [&](auto& writer, MemoryTree& tree) {
        for (const auto& [name, data] : contents()) tree.file(name, data.size(), writer.adopt(*root, root->find(name)));
    });
    for (const auto& [name, data] : contents()) BOOST_TEST((read_file(*w, name) == data), name);
    close(fd);
}

BOOST_AUTO_TEST_CASE(a_source_that_shrank_is_an_error) {
    const auto from = source("zstd");
    for (const uint64_t left : {uint64_t{100}, from.size / 2}) {
        const std::string bytes = from.bytes();
        const int fd = memfd_create("source", MFD_CLOEXEC);
        BOOST_REQUIRE_EQUAL(pwrite(fd, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
        const auto reader = squashfs::open_squashfs(fd, 0, bytes.size());
        const Foreign root(*reader);
        std::vector<uint64_t> nodes;
        for (const auto& [name, data] : contents()) nodes.push_back(root->find(name)), root->stat(nodes.back());
        sg_stored_block block{}, shared{};
        uint64_t offset = 0;
        for (const uint64_t n : nodes) reader->blocks(n, &block, 1, shared, offset);
        BOOST_REQUIRE_EQUAL(ftruncate(fd, static_cast<off_t>(left)), 0);
        TemporaryFile file;
        SquashfsWriter writer(file.fd(), 0, {}, 1u);
        const auto [code, message] = failure([&] {
            for (const uint64_t n : nodes) writer.adopt(*root, n);
            MemoryTree tree;
            writer.finish(tree.foreign(), Host());
        });
        BOOST_TEST((code == Code::corrupt), message);
        close(fd);
    }
}

BOOST_AUTO_TEST_CASE(taken_bytes_lie_as_in_their_source_whatever_the_order_of_the_calls) {
    const auto from = source("zstd");
    const auto image = [&](bool backwards) {
        return written({}, 2, [&](auto& writer, MemoryTree& tree) {
            std::vector<std::string> names;
            for (const auto& [name, bytes] : contents()) names.push_back(name);
            if (backwards) std::reverse(names.begin(), names.end());
            for (const auto& name : names) tree.file(name, contents().at(name).size(), writer.adopt(*from, (*from).find(name)));
        });
    };
    const auto forwards = image(false), backwards = image(true);
    for (const auto& [name, bytes] : contents()) BOOST_TEST((read_file(*backwards, name) == bytes), name);
    BOOST_TEST(forwards.bytes().substr(96, forwards.stats.bytes_stored) == backwards.bytes().substr(96, backwards.stats.bytes_stored));
}

namespace {

squashfs::AdoptedBlocks adopted(const std::shared_ptr<squashfs::Source>& source, std::initializer_list<std::pair<uint64_t, uint64_t>> pieces) {
    squashfs::AdoptedBlocks out;
    for (const auto& [offset, size] : pieces) out.add(source, offset, size);
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(pieces_that_touch_or_overlap_are_one_copy) {
    const TemporaryFile file;
    const auto source = std::make_shared<squashfs::Source>(file.fd());
    auto blocks = adopted(source, {{500, 10}, {100, 50}, {150, 20}, {120, 100}, {500, 10}});
    BOOST_TEST(blocks.place(1000) == 1130u);
    BOOST_TEST(blocks.runs().size() == 2u);
    BOOST_TEST(blocks.position(1) == 1000u);
    BOOST_TEST(blocks.position(2) == 1050u);
    BOOST_TEST(blocks.position(3) == 1020u);
    BOOST_TEST(blocks.position(0) == 1120u);
    BOOST_TEST(blocks.position(4) == 1120u);
}

BOOST_AUTO_TEST_CASE(a_long_run_keeps_its_place_in_the_page) {
    const TemporaryFile file;
    const auto source = std::make_shared<squashfs::Source>(file.fd());
    auto blocks = adopted(source, {{100, 10}, {4096 * 3 + 7, 2 << 20}});
    blocks.place(1000);
    BOOST_TEST(blocks.position(0) == 1000u);
    BOOST_TEST(blocks.position(1) == 4096u + 7);
}

BOOST_AUTO_TEST_CASE(sources_follow_in_the_order_of_their_first_use) {
    const TemporaryFile one, two;
    const auto a = std::make_shared<squashfs::Source>(one.fd()), b = std::make_shared<squashfs::Source>(two.fd());
    squashfs::AdoptedBlocks blocks;
    blocks.add(b, 900, 10);
    blocks.add(a, 0, 10);
    blocks.add(b, 100, 10);
    BOOST_TEST(blocks.place(0) == 30u);
    BOOST_TEST(blocks.position(2) == 0u);
    BOOST_TEST(blocks.position(0) == 10u);
    BOOST_TEST(blocks.position(1) == 20u);
}

BOOST_AUTO_TEST_CASE(places_that_no_file_has_are_refused) {
    const TemporaryFile file;
    const auto source = std::make_shared<squashfs::Source>(file.fd());
    squashfs::AdoptedBlocks blocks;
    for (const auto& [offset, size] : {std::pair{UINT64_MAX, uint64_t{1}}, std::pair{uint64_t{1}, UINT64_MAX}, std::pair{uint64_t{INT64_MAX}, uint64_t{1}}})
        BOOST_TEST((failure([&, offset = offset, size = size] { blocks.add(source, offset, size); }).first == Code::corrupt));
}

BOOST_AUTO_TEST_CASE(a_copy_behind_the_end_of_its_source_is_an_error_and_one_that_nobody_waits_for_ends) {
    const TemporaryFile from, to;
    BOOST_REQUIRE_EQUAL(ftruncate(from.fd(), 64 << 20), 0);
    const auto source = std::make_shared<squashfs::Source>(from.fd());
    squashfs::BackgroundCopy copy(to.fd(), {{source, 0, 65 << 20, 0}});
    BOOST_TEST((failure([&] { copy.wait(Host()); }).first == Code::corrupt));
    squashfs::BackgroundCopy unasked(to.fd(), {{source, 0, 64 << 20, 0}});
}
