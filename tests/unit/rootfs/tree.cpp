#include "rootfs/tree.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "support.hpp"

using namespace rootfs_test;
using sg::Tree;

namespace {
std::string shown(Tree& t) {
    Merged m{std::move(t), {}};
    const std::string s = text(lines(m));
    t = std::move(m.tree);
    return s;
}
}  // namespace

BOOST_AUTO_TEST_SUITE(tree)

BOOST_AUTO_TEST_CASE(files_directories_and_links_are_put_and_found) {
    Tree t;
    t.put_directory("/a/b", 0700, 5);
    t.put_file("a/b/f", 0640, 6, 0, SG_NO_CONTENT);
    t.put_symlink("/a/l", "b/f", 7);
    BOOST_TEST(shown(t) == ". dir 0755\na dir 0755\na/b dir 0700\na/b/f file \na/l -> b/f\n");
    BOOST_TEST(t.find("a/b").value().mtime == 5);
    BOOST_TEST(t.find("a").value().mtime == 5);
    BOOST_TEST(t.find("/a/b/f").value().mode == 0100640u);
    BOOST_TEST(t.find("a/l").value().mode == 0120777u);
    BOOST_TEST(t.find_following("a/l").value().mode == 0100640u);
    BOOST_TEST(t.link_target("a/l").value() == "b/f");
    BOOST_TEST(!t.link_target("a/b"));
    BOOST_TEST(!t.find("a/x"));
    BOOST_TEST(!t.find("a/b/f/x"));
    BOOST_TEST(t.names("a") == (std::vector<std::string>{"b", "l"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(links_are_followed_inside_the_root_only) {
    Tree t;
    t.put_symlink("etc", "/usr/etc", 1);
    t.put_symlink("up", "../../../../outside", 1);
    t.put_file("etc/passwd", 0644, 1, 0, SG_NO_CONTENT);
    t.put_file("up/f", 0644, 1, 0, SG_NO_CONTENT);
    BOOST_TEST(shown(t) ==
               ". dir 0755\netc -> /usr/etc\noutside dir 0755\noutside/f file \nup -> ../../../../outside\nusr dir 0755\nusr/etc dir 0755\n"
               "usr/etc/passwd file \n");
    BOOST_TEST(!!t.find("etc/passwd"));
    BOOST_TEST(!!t.find("/../../etc/../etc/passwd"));
}

BOOST_AUTO_TEST_CASE(the_last_component_is_replaced_and_never_followed) {
    Tree t;
    t.put_file("f", 0644, 1, 0, SG_NO_CONTENT);
    t.put_symlink("l", "f", 1);
    t.put_file("l", 0600, 2, 0, SG_NO_CONTENT);
    BOOST_TEST(t.find("l").value().mode == 0100600u);
    BOOST_TEST(t.find("f").value().mode == 0100644u);
    t.put_directory("d/sub", 0755, 1);
    t.put_file("d", 0644, 1, 0, SG_NO_CONTENT);
    BOOST_TEST(shown(t) == ". dir 0755\nd file \nf file \nl file \n");
    // What was below does not come back.
    t.put_directory("d", 0755, 1);
    BOOST_TEST(t.names("d").empty());
}

BOOST_AUTO_TEST_CASE(an_existing_directory_or_link_is_kept) {
    Tree t;
    t.put_directory("a", 0700, 1);
    t.put_directory("a", 0755, 2);
    t.put_symlink("l", "nowhere", 1);
    t.put_directory("l", 0755, 2);
    t.put_file("f", 0644, 1, 0, SG_NO_CONTENT);
    t.put_directory("f", 0711, 2);
    t.put_directory("/", 0700, 2);
    BOOST_TEST(shown(t) == ". dir 0755\na dir 0700\nf dir 0711\nl -> nowhere\n");
}

BOOST_AUTO_TEST_CASE(a_file_on_the_way_becomes_a_directory) {
    Tree t;
    t.put_file("a", 0644, 1, 0, SG_NO_CONTENT);
    t.put_file("a/b", 0644, 1, 0, SG_NO_CONTENT);
    BOOST_TEST(shown(t) == ". dir 0755\na dir 0755\na/b file \n");
}

BOOST_AUTO_TEST_CASE(removing_takes_all_below) {
    Tree t;
    t.put_file("a/b/c", 0644, 1, 0, SG_NO_CONTENT);
    t.put_symlink("l", "a", 1);
    BOOST_TEST(t.remove("l"));
    BOOST_TEST(!!t.find("a/b/c"));
    BOOST_TEST(t.remove("/a"));
    BOOST_TEST(!t.remove("a"));
    BOOST_TEST(!t.find("a/b"));
    t.put_directory("a", 0755, 1);
    BOOST_TEST(shown(t) == ". dir 0755\na dir 0755\n");
    BOOST_CHECK_THROW(t.remove("/"), sg::Error);
    BOOST_CHECK_THROW(t.put_file("/", 0644, 1, 0, SG_NO_CONTENT), sg::Error);
    BOOST_CHECK_THROW(t.put_file("a/..", 0644, 1, 0, SG_NO_CONTENT), sg::Error);
}

BOOST_AUTO_TEST_CASE(a_loop_of_links_is_an_error) {
    Tree t;
    t.put_symlink("a", "b", 1);
    t.put_symlink("b", "a", 1);
    BOOST_CHECK_THROW(t.put_file("a/x", 0644, 1, 0, SG_NO_CONTENT), sg::Error);
    BOOST_CHECK_THROW(t.find_following("a"), sg::Error);
    BOOST_TEST(!!t.find("a"));
}

BOOST_AUTO_TEST_CASE(link_counts_inode_numbers_and_totals_are_right) {
    Merged m = merge({Tar().dir("d").dir("d/e").dir("d/f").file("x", "12345").hard("d/y", "x").file("z", "1")});
    const auto root = m.tree.view();
    BOOST_TEST(root.stat(root.root()).nlink == 3u);
    BOOST_TEST(root.stat(root.find("d")).nlink == 4u);
    BOOST_TEST(root.stat(root.find("d/e")).nlink == 2u);
    const sg_attr x = root.stat(root.find("x")), y = root.stat(root.find("d/y"));
    BOOST_TEST(x.nlink == 2u);
    BOOST_TEST(x.inode == y.inode);
    BOOST_TEST(x.content == y.content);
    BOOST_TEST(root.stat(root.find("z")).inode != x.inode);
    uint64_t bytes = 0, inodes = 0;
    uint32_t block = 0;
    root.table()->totals(root.handle(), &bytes, &inodes, &block);
    BOOST_TEST(bytes == 6u);
    BOOST_TEST(inodes == 6u);
    // An edit changes them.
    m.tree.remove("x");
    BOOST_TEST(m.tree.view().stat(m.tree.view().find("d/y")).nlink == 1u);
}

BOOST_AUTO_TEST_CASE(a_list_goes_on_from_its_cursor) {
    Tree t;
    for (int i = 0; i < 300; ++i) t.put_file("d/" + std::to_string(i * 7919 % 1000), 0644, 1, 0, SG_NO_CONTENT);
    const auto root = t.view();
    const uint64_t d = root.find("d");
    std::vector<std::string> whole, pieces;
    root.list(d, [&](std::string_view n, uint64_t, uint32_t) {
        whole.emplace_back(n);
        return true;
    });
    struct Arg {
        std::vector<std::string>* out;
        uint64_t cursor = 0;
        int left = 0;
    } arg{&pieces};
    for (size_t before = 1; before != pieces.size() + 1 || pieces.empty();) {
        before = pieces.size() + 1;
        arg.left = 7;
        singularity::check([&](sg_error* e) {
            return root.table()->list(
                root.handle(), d, arg.cursor,
                [](void* a, const char* name, uint64_t length, uint64_t, uint32_t, uint64_t cursor) -> int32_t {
                    auto& x = *static_cast<Arg*>(a);
                    x.out->emplace_back(name, length);
                    x.cursor = cursor;
                    return --x.left == 0;
                },
                &arg, e);
        });
    }
    BOOST_TEST(whole == pieces, boost::test_tools::per_element());
    BOOST_TEST(std::is_sorted(whole.begin(), whole.end()));
    BOOST_TEST(whole.size() == 300u);
}

BOOST_AUTO_TEST_CASE(names_sort_by_byte) {
    Tree t;
    const std::vector<std::string> names = {"a", "a-b", "aaaaaaaa", "aaaaaaaab", "aaaaaaab", "b", "Z", "\xc3\xa9", "\xff", "0"};
    for (const auto& n : names) t.put_file(n, 0644, 1, 0, SG_NO_CONTENT);
    auto sorted = names;
    std::sort(sorted.begin(), sorted.end());
    std::vector<std::string> got;
    t.view().list(0, [&](std::string_view n, uint64_t, uint32_t) {
        got.emplace_back(n);
        return true;
    });
    BOOST_TEST(got == sorted, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(unknown_nodes_are_not_found_and_files_are_no_directories) {
    Tree t;
    t.put_file("f", 0644, 1, 0, SG_NO_CONTENT);
    const auto root = t.view();
    BOOST_CHECK_THROW(root.stat(77), sg::Error);
    BOOST_CHECK_THROW(root.stat(UINT64_MAX), sg::Error);
    BOOST_CHECK_THROW(root.lookup(root.find("f"), "x"), sg::Error);
    BOOST_CHECK_THROW(root.link_target(root.find("f")), sg::Error);
    BOOST_TEST(root.lookup(root.root(), "g") == SG_NO_NODE);
}

BOOST_AUTO_TEST_SUITE_END()
