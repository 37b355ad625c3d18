// SPDX-License-Identifier: BSD-3-Clause
// What the writer stores, the reader gives back.
#include "memory_tree.hpp"

#include <family/squashfs_reader.hpp>
#include <family/squashfs_writer.hpp>

#include <boost/test/unit_test.hpp>

using namespace testing;
using singularity::ForeignRoot;
using singularity::Host;

namespace {

std::string read_file(const ForeignRoot& root, const std::string& path) {
    const uint64_t node = root.find(path);
    BOOST_REQUIRE_MESSAGE(node != SG_NO_NODE, path);
    std::string out(root.stat(node).size, '\0');
    BOOST_REQUIRE_EQUAL(root.read(node, 0, out.data(), out.size()), out.size());
    return out;
}

uint64_t store(squashfs::SquashfsWriter& writer, const std::string& bytes, size_t piece = size_t{1} << 20) {
    BytesStream stream(bytes, piece);
    return writer.content("file", bytes.size(), stream, Host());
}

}  // namespace

BOOST_AUTO_TEST_CASE(contents_of_every_size_come_back_with_every_compressor) {
    for (const char* compression : {"zstd", "zstd:19", "gzip", "gzip:1", "lz4", "xz"}) {
        BOOST_TEST_CONTEXT(compression) {
            TemporaryFile file;
            squashfs::SquashfsWriter writer(file.fd(), 4096, squashfs::parse_compression(compression), 2u);
            MemoryTree tree;
            std::map<std::string, std::string> wanted;
            uint32_t seed = 1;
            for (const size_t size : {1u, 100u, 4095u, 131071u, 131072u, 131073u, 300000u, 1048576u}) {
                for (const bool packed : {true, false}) {
                    const std::string name = std::to_string(size) + (packed ? "t" : "n");
                    wanted[name] = packed ? text(++seed, size) : noise(++seed, size);
                    tree.file(name, size, store(writer, wanted[name], 70000));
                }
            }
            const uint64_t used = writer.finish(tree.foreign(), Host());
            BOOST_TEST(used % 4096 == 0u);
            BOOST_TEST(file.size() == 4096 + used);
            BOOST_TEST(file.bytes(0, 4096) == std::string(4096, '\0'));
            const auto reader = squashfs::open_squashfs(file.fd(), 4096, used);
            const Foreign root(*reader);
            for (const auto& [name, bytes] : wanted) BOOST_TEST((read_file(*root, name) == bytes), name);
        }
    }
}
