#include "rootfs/copy.hpp"

#include <sys/stat.h>

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

// ---- Changes over a root file system -------------------------------------------------------------

namespace {

Merged copy_with(Reader& reader, const Tar& changes, const sg::UpperRules& rules = {}) {
    singularity::detail::RootBox box{&reader};
    const singularity::ForeignRoot from(singularity::detail::root_table(false), reinterpret_cast<sg_root*>(&box));
    Recorder recorder;
    auto writer = recorder.writer();
    const auto stream = stream_of(changes.bytes(), 65536, true);
    sg::UpperTree upper = sg::read_upper(*stream, writer, {}, rules, nullptr);
    sg::Tree tree = sg::copy_root(from, writer, {}, std::move(upper), nullptr);
    return {std::move(tree), std::move(recorder)};
}

std::string names(Merged& m, const std::string& directory) {
    std::string out;
    for (const auto& name : m.tree.names(directory)) out += (out.empty() ? "" : " ") + name;
    return out;
}

Merged base_of_changes() {
    return merge({Tar()
                      .dir("d", {.mode = 0750, .uid = 3, .gid = 4})
                      .file("d/a", "old a", {.uid = 7, .gid = 8})
                      .file("d/b", "old b")
                      .dir("d/sub")
                      .file("d/sub/x", "x")
                      .file("f", "old f")
                      .hard("g", "f")
                      .dir("gone")
                      .file("gone/x", "x")});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(changes)

BOOST_AUTO_TEST_CASE(new_names_are_added_and_old_ones_replaced) {
    Merged m = base_of_changes();
    Reader reader(m);
    Merged out = copy_with(reader, Tar().dir("d", {.mode = 0700}).file("d/a", "new").file("d/c", "c").dir("n").file("n/x", "y"));
    BOOST_TEST(names(out, "") == "d f g gone n");
    BOOST_TEST(names(out, "d") == "a b c sub");
    BOOST_TEST(out.tree.find("d/a")->size == 3u);
    BOOST_TEST(out.tree.find("d")->mode == 040700u);
    BOOST_TEST(out.tree.find("f")->inode == out.tree.find("g")->inode);
}

BOOST_AUTO_TEST_CASE(whiteouts_and_opaque_directories_hide_what_is_below) {
    Merged m = base_of_changes();
    Reader reader(m);
    Merged out = copy_with(reader, Tar().file(".wh.gone", "").file(".wh.f", "").dir("d").file("d/.wh..wh..opq", "").file("d/new", "n"));
    BOOST_TEST(names(out, "") == "d g");
    BOOST_TEST(names(out, "d") == "new");
    for (const auto& content : out.recorder.contents) BOOST_TEST(content.bytes != "old b", "hidden bytes were copied");
}

BOOST_AUTO_TEST_CASE(a_type_may_change) {
    Merged m = base_of_changes();
    Reader reader(m);
    Merged out = copy_with(reader, Tar().file("d", "now a file").dir("f").file("f/x", "x").link("gone", "f"));
    BOOST_TEST(S_ISREG(out.tree.find("d")->mode));
    BOOST_TEST(names(out, "f") == "x");
    BOOST_TEST(*out.tree.link_target("gone") == "f");
}

BOOST_AUTO_TEST_CASE(links_between_changes_stay_links) {
    Merged m = base_of_changes();
    Reader reader(m);
    Merged out = copy_with(reader, Tar().file("n1", "n").hard("n2", "n1"));
    BOOST_TEST(out.tree.find("n1")->inode == out.tree.find("n2")->inode);
    BOOST_TEST(out.tree.view().stat(out.tree.view().find("n1")).nlink == 2u);
}

BOOST_AUTO_TEST_CASE(owners_that_are_not_known_are_those_below) {
    Merged m = base_of_changes();
    Reader reader(m);
    sg::UpperRules rules;
    rules.owners_unknown = true;
    rules.latest = 500;
    Merged out = copy_with(reader, Tar().dir("d").file("d/a", "new").file("d/c", "c"), rules);
    BOOST_TEST(out.tree.find("d")->uid == 3u);
    BOOST_TEST(out.tree.find("d/a")->uid == 7u);
    BOOST_TEST(out.tree.find("d/a")->gid == 8u);
    BOOST_TEST(out.tree.find("d/c")->uid == 0u);
    BOOST_TEST(out.tree.find("d/c")->mtime == 500);
}

BOOST_AUTO_TEST_SUITE_END()
