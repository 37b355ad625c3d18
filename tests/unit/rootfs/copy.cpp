#include "rootfs/copy.hpp"

#include <boost/test/unit_test.hpp>
#include <map>

#include "base/error.hpp"
#include "support.hpp"

using namespace rootfs_test;

namespace {

// A reader over a merged tree, which also gives the bytes of its files.
struct Reader final : singularity::Root {
    Merged& m;
    singularity::ForeignRoot tree;
    uint64_t loop = SG_NO_NODE;  // a directory that is said to hold the root again
    bool bad_name = false, short_data = false;
    explicit Reader(Merged& merged) : m(merged), tree(merged.tree.view()) {}

    uint64_t root() override { return tree.root(); }
    sg_attr stat(uint64_t n) override { return tree.stat(n); }
    uint64_t lookup(uint64_t d, std::string_view name) override { return tree.lookup(d, name); }
    void list(uint64_t d, uint64_t, sg_visit_entry visit, void* arg) override {
        if (d == loop) visit(arg, "again", 5, root(), 0040000, 1);
        if (bad_name) visit(arg, "a/b", 3, root(), 0040000, 1);
        tree.list(d, [&](std::string_view name, uint64_t n, uint32_t type) {
            return visit(arg, std::string(name).c_str(), name.size(), n, type, 1) == 0;
        });
    }
    std::string link_target(uint64_t n) override { return tree.link_target(n); }
    void xattrs(uint64_t n, sg_visit_xattr visit, void* arg) override {
        for (const auto& [k, v] : tree.xattrs(n)) visit(arg, k.c_str(), v.data(), v.size());
    }
    uint64_t read(uint64_t, uint64_t, void*, uint64_t) override { return 0; }
    singularity::Slice block(uint64_t n, uint64_t offset) override {
        if (short_data) return {};
        const auto& c = m.recorder.contents.at(tree.stat(n).content);
        if (offset < c.bytes.size()) return singularity::Slice::borrowed(c.bytes.data() + offset, std::min<size_t>(3, c.bytes.size() - offset));
        return singularity::Slice::hole(std::min<uint64_t>(c.size - offset, 1000));
    }
    void totals(uint64_t& b, uint64_t& i, uint32_t& s) override { b = i = s = 0; }
};


Merged copy(Reader& reader, bool adopts = false, const sg::MergeLimits& limits = {}) {
    singularity::detail::RootBox box{&reader};
    const singularity::ForeignRoot from(singularity::detail::root_table(false), reinterpret_cast<sg_root*>(&box));
    Recorder recorder;
    recorder.adopts = adopts;
    auto writer = recorder.writer();
    sg::Tree tree = sg::copy_root(from, writer, limits, nullptr);
    return {std::move(tree), std::move(recorder)};
}

Merged sample() {
    return merge({Tar()
                      .dir(".", {.mode = 0711, .mtime = 9})
                      .dir("d", {.mode = 02750, .uid = 3, .gid = 4, .mtime = 5})
                      .file("d/f", "some data", {.mode = 04755, .uid = 1, .xattrs = {{"user.a", "b"}}})
                      .hard("g", "d/f")
                      .link("l", "d/f")
                      .device("null", 1, 3)
                      .fifo("p")
                      .file("empty", "")});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(copying)

BOOST_AUTO_TEST_CASE(everything_is_kept) {
    Merged m = sample();
    Reader reader(m);
    Merged c = copy(reader);
    Lines before = lines(m, true), after = lines(c, true);
    // Inode numbers may differ, groups of names may not.
    for (Lines* l : {&before, &after})
        for (auto& [path, line] : *l) {
            const auto at = line.find(" #");
            line.erase(at, line.find_first_not_of("0123456789", at + 2) - at);
        }
    BOOST_TEST(text(before) == text(after));
    BOOST_TEST(c.recorder.contents.size() == 1u);
    BOOST_TEST(c.recorder.contents[0].hint == "g");
}

BOOST_AUTO_TEST_CASE(files_are_adopted_where_the_writer_can) {
    Merged m = sample();
    Reader reader(m);
    Merged c = copy(reader, true);
    BOOST_TEST(c.recorder.contents.empty());
    BOOST_TEST(c.recorder.adopted.size() == 1u);  // one file of two names, and the empty one needs nothing
    BOOST_TEST(c.tree.find("g").value().content == 1000000 + c.recorder.adopted[0]);
}

BOOST_AUTO_TEST_CASE(holes_stay_holes) {
    Merged m = merge({Tar().file("f", "head")});
    m.recorder.contents[0].size = 1 << 20;
    m.tree.inode(m.tree.file(static_cast<uint32_t>(m.tree.view().find("f")))).size = 1 << 20;
    Reader reader(m);
    Merged c = copy(reader);
    BOOST_TEST(c.recorder.contents[0].bytes == "head");
    BOOST_TEST(c.recorder.contents[0].holes == (1u << 20) - 4);
}

BOOST_AUTO_TEST_CASE(damaged_readers_are_refused) {
    Merged m = sample();
    {
        Reader reader(m);
        reader.loop = m.tree.view().find("d");
        BOOST_CHECK_THROW(copy(reader), sg::Error);
    }
    {
        Reader reader(m);
        reader.bad_name = true;
        BOOST_CHECK_THROW(copy(reader), sg::Error);
    }
    {
        Reader reader(m);
        reader.short_data = true;
        BOOST_CHECK_THROW(copy(reader), sg::Error);
    }
}

BOOST_AUTO_TEST_CASE(limits_hold) {
    Merged m = sample();
    Reader reader(m);
    sg::MergeLimits few;
    few.entries = 3;
    BOOST_CHECK_THROW(copy(reader, false, few), sg::Error);
    sg::MergeLimits small;
    small.file_size = 3;
    BOOST_CHECK_THROW(copy(reader, false, small), sg::Error);
}

BOOST_AUTO_TEST_SUITE_END()
