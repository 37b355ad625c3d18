// SPDX-License-Identifier: BSD-3-Clause
// support.hpp: what several test files of the squashfs family need.
#pragma once
#include "memory_tree.hpp"

#include <family/squashfs_reader.hpp>
#include <family/squashfs_writer.hpp>

#include <boost/test/unit_test.hpp>

namespace testing {

inline uint64_t store(squashfs::SquashfsWriter& writer, const std::string& bytes, size_t piece = size_t{1} << 20) {
    BytesStream stream(bytes, piece);
    return writer.content("file", bytes.size(), stream, singularity::Host());
}

inline std::string read_file(const singularity::ForeignRoot& root, const std::string& path) {
    const uint64_t node = root.find(path);
    BOOST_REQUIRE_MESSAGE(node != SG_NO_NODE, path);
    std::string out(root.stat(node).size, '\0');
    BOOST_REQUIRE_EQUAL(root.read(node, 0, out.data(), out.size()), out.size());
    return out;
}

// What failed, as code and message.
template <class F>
std::pair<singularity::Code, std::string> failure(F&& f) {
    try {
        f();
    } catch (const singularity::Error& e) {
        return {e.code(), e.message()};
    }
    BOOST_FAIL("nothing was thrown");
    return {};
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// A finished image and its reader.
struct Written {
    std::unique_ptr<TemporaryFile> file = std::make_unique<TemporaryFile>();
    uint64_t base = 0, size = 0;
    squashfs::WriterStats stats;
    std::unique_ptr<singularity::StoredRoot> reader;
    std::unique_ptr<Foreign> root;

    std::string bytes() const { return file->bytes(base, size); }
    const singularity::ForeignRoot& operator*() const { return root_value; }
    singularity::ForeignRoot root_value{nullptr, nullptr};
};

// make(writer, tree) stores contents and adds entries.
template <class Make>
Written written(const squashfs::SquashfsOptions& options, unsigned workers, Make&& make, uint64_t base = 0) {
    Written w;
    w.base = base;
    squashfs::SquashfsWriter writer(w.file->fd(), base, options, workers);
    MemoryTree tree;
    make(writer, tree);
    w.size = writer.finish(tree.foreign(), singularity::Host());
    w.stats = writer.stats();
    w.reader = squashfs::open_squashfs(w.file->fd(), base, w.size);
    w.root = std::make_unique<Foreign>(*w.reader);
    w.root_value = **w.root;
    return w;
}

}  // namespace testing

BOOST_TEST_DONT_PRINT_LOG_VALUE(singularity::Code)
