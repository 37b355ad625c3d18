// The cases that go wrong silently when layers are merged: each is what the merge must give.
#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "support.hpp"

using namespace rootfs_test;

#define SHAPE(LAYERS, ...) BOOST_TEST(text(shape LAYERS) == text(Lines __VA_ARGS__))

using L = std::vector<Tar>;

BOOST_AUTO_TEST_SUITE(layer_cases)

BOOST_AUTO_TEST_CASE(a_hard_link_keeps_the_old_data_when_its_target_is_replaced) {
    SHAPE((L{Tar().dir("a").file("a/one", "old").hard("a/two", "a/one"), Tar().file("a/one", "new")}),
          ({{"a", "dir 0755"}, {"a/one", "file new"}, {"a/two", "file old"}}));
}

BOOST_AUTO_TEST_CASE(a_hard_link_keeps_the_old_data_when_its_target_is_whited_out) {
    SHAPE((L{Tar().dir("a").file("a/one", "old").hard("a/two", "a/one"), Tar().file("a/.wh.one", "")}),
          ({{"a", "dir 0755"}, {"a/two", "file old"}}));
}

BOOST_AUTO_TEST_CASE(a_hard_link_to_an_older_layer_keeps_the_old_data_when_a_newer_one_replaces_the_target) {
    SHAPE((L{Tar().dir("a").file("a/one", "old"), Tar().hard("a/two", "a/one"), Tar().file("a/one", "new")}),
          ({{"a", "dir 0755"}, {"a/one", "file new"}, {"a/two", "file old"}}));
}

BOOST_AUTO_TEST_CASE(a_hard_link_to_an_older_layer_is_linked) {
    SHAPE((L{Tar().dir("a").file("a/one", "old"), Tar().hard("a/two", "a/one")}),
          ({{"a", "dir 0755"}, {"a/one", "file old (2 names)"}, {"a/two", "file old (2 names)"}}));
}

BOOST_AUTO_TEST_CASE(hard_links_of_two_layers_to_an_older_file_are_one_file) {
    SHAPE((L{Tar().file("one", "old"), Tar().hard("two", "one"), Tar().hard("./three", "/one")}),
          ({{"one", "file old (3 names)"}, {"two", "file old (3 names)"}, {"three", "file old (3 names)"}}));
}

BOOST_AUTO_TEST_CASE(a_waiting_hard_link_never_binds_to_a_newer_file_of_its_targets_name) {
    // The link of layer 3 means layer 2's file, that of layer 2 (before the replacement) layer 1's.
    SHAPE((L{Tar().file("t", "first"), Tar().hard("b", "t").file("t", "second"), Tar().hard("c", "t"), Tar().file("t", "third")}),
          ({{"t", "file third"}, {"b", "file first"}, {"c", "file second"}}));
}

BOOST_AUTO_TEST_CASE(directory_then_file_then_directory_keeps_only_the_newest_children) {
    SHAPE((L{Tar().dir("a").file("a/old", "x"), Tar().file("a", "f"), Tar().dir("a", {.mode = 0750}).file("a/new", "y")}),
          ({{"a", "dir 0750"}, {"a/new", "file y"}}));
}

BOOST_AUTO_TEST_CASE(a_file_between_cuts_an_unlisted_directory_off_from_its_attributes) {
    SHAPE((L{Tar().dir("a", {.mode = 0700}).file("a/old", "x"), Tar().file("a", "f"), Tar().file("a/new", "y")}),
          ({{"a", "dir 0755"}, {"a/new", "file y"}}));
    SHAPE((L{Tar().dir("a", {.mode = 0700}).file("a/old", "x"), Tar().fifo("a"), Tar().file("a/new", "y")}),
          ({{"a", "dir 0755"}, {"a/new", "file y"}}));
}

BOOST_AUTO_TEST_CASE(a_file_of_the_same_layer_gives_way_to_a_directory_below_it) {
    SHAPE((L{Tar().dir("a", {.mode = 0700}).file("a/old", "x"), Tar().file("a", "f").file("a/new", "y")}),
          ({{"a", "dir 0755"}, {"a/new", "file y"}}));
    SHAPE((L{Tar().dir("a", {.mode = 0700}).file("a/old", "x"), Tar().fifo("a").file("a/new", "y")}),
          ({{"a", "dir 0755"}, {"a/new", "file y"}}));
}

BOOST_AUTO_TEST_CASE(an_unlisted_parent_takes_the_attributes_of_the_older_directory) {
    SHAPE((L{Tar().dir("a", {.mode = 0700}), Tar().file("a/y", "y")}), ({{"a", "dir 0700"}, {"a/y", "file y"}}));
}

BOOST_AUTO_TEST_CASE(a_parent_below_an_older_symbolic_link_becomes_a_directory) {
    SHAPE((L{Tar().link("bin", "usr/bin").dir("usr").dir("usr/bin").file("usr/bin/t", "old"),
             Tar().file("bin/t", "new").file("bin/u", "u")}),
          ({{"bin", "dir 0755"},
            {"bin/t", "file new"},
            {"bin/u", "file u"},
            {"usr", "dir 0755"},
            {"usr/bin", "dir 0755"},
            {"usr/bin/t", "file old"}}));
}

BOOST_AUTO_TEST_CASE(a_directory_entry_replaces_an_older_symbolic_link) {
    SHAPE((L{Tar().link("bin", "usr/bin").dir("usr").dir("usr/bin").file("usr/bin/t", "old"),
             Tar().dir("bin", {.mode = 0711}).file("bin/t", "new")}),
          ({{"bin", "dir 0711"},
            {"bin/t", "file new"},
            {"usr", "dir 0755"},
            {"usr/bin", "dir 0755"},
            {"usr/bin/t", "file old"}}));
}

BOOST_AUTO_TEST_CASE(a_symbolic_link_of_the_same_layer_is_followed) {
    for (const char* target : {"usr/bin", "/usr/bin", "./usr/../usr/bin"})
        SHAPE((L{Tar().dir("usr").dir("usr/bin").link("bin", target).file("bin/t", "t")}),
              ({{"bin", std::string("-> ") + target}, {"usr", "dir 0755"}, {"usr/bin", "dir 0755"}, {"usr/bin/t", "file t"}}));
}

BOOST_AUTO_TEST_CASE(a_dangling_symbolic_link_of_the_same_layer_is_followed) {
    SHAPE((L{Tar().link("bin", "usr/bin").file("bin/t", "t")}),
          ({{"bin", "-> usr/bin"}, {"usr", "dir 0755"}, {"usr/bin", "dir 0755"}, {"usr/bin/t", "file t"}}));
}

BOOST_AUTO_TEST_CASE(a_symbolic_link_never_leads_above_the_root) {
    SHAPE((L{Tar().link("esc", "../../../../tmp").file("esc/x", "x")}),
          ({{"esc", "-> ../../../../tmp"}, {"tmp", "dir 0755"}, {"tmp/x", "file x"}}));
    SHAPE((L{Tar().dir("d").link("d/up", "..").file("d/up/../x", "x").file("d/up/y", "y")}),
          ({{"d", "dir 0755"}, {"d/up", "-> .."}, {"d/x", "file x"}, {"y", "file y"}}));
}

BOOST_AUTO_TEST_CASE(a_symbolic_link_that_a_newer_layer_hides_is_followed_within_its_own) {
    SHAPE((L{Tar().link("bin", "usr/bin").file("bin/t", "t"), Tar().file(".wh.bin", "")}),
          ({{"usr", "dir 0755"}, {"usr/bin", "dir 0755"}, {"usr/bin/t", "file t"}}));
    SHAPE((L{Tar().dir("opt").link("opt/l", "/usr").file("opt/l/t", "t"), Tar().file("opt/.wh..wh..opq", "")}),
          ({{"opt", "dir 0755"}, {"usr", "dir 0755"}, {"usr/t", "file t"}}));
    SHAPE((L{Tar().link("bin", "usr/bin").file("bin/t", "t"), Tar().file("bin/u", "u")}),
          ({{"bin", "dir 0755"}, {"bin/u", "file u"}, {"usr", "dir 0755"}, {"usr/bin", "dir 0755"}, {"usr/bin/t", "file t"}}));
}

BOOST_AUTO_TEST_CASE(a_loop_of_symbolic_links_is_refused) {
    BOOST_CHECK_THROW(shape({Tar().link("a", "b").link("b", "a").file("a/x", "x")}), sg::Error);
}

BOOST_AUTO_TEST_CASE(a_whiteout_leaves_its_own_layers_entry_in_either_order) {
    SHAPE((L{Tar().file("a", "old"), Tar().file(".wh.a", "").file("a", "new")}), ({{"a", "file new"}}));
    SHAPE((L{Tar().file("a", "old"), Tar().file("a", "new").file(".wh.a", "")}), ({{"a", "file new"}}));
    SHAPE((L{Tar().dir("a").file("a/old", ""), Tar().dir("a").file("a/new", "").file(".wh.a", "")}),
          ({{"a", "dir 0755"}, {"a/new", "file "}}));
}

BOOST_AUTO_TEST_CASE(an_opaque_marker_leaves_its_own_layers_children_in_either_order) {
    SHAPE((L{Tar().dir("a").file("a/old", "").dir("a/d").file("a/d/x", ""),
             Tar().dir("a").file("a/new", "").file("a/.wh..wh..opq", "")}),
          ({{"a", "dir 0755"}, {"a/new", "file "}}));
    SHAPE((L{Tar().dir("a").file("a/old", ""), Tar().dir("a").file("a/.wh..wh..opq", "").file("a/new", "")}),
          ({{"a", "dir 0755"}, {"a/new", "file "}}));
}

BOOST_AUTO_TEST_CASE(an_opaque_marker_at_the_root_hides_all_older_layers) {
    SHAPE((L{Tar().dir("a").file("a/old", ""), Tar().file(".wh..wh..opq", "").file("new", "")}), ({{"new", "file "}}));
}

BOOST_AUTO_TEST_CASE(of_the_same_path_twice_the_last_wins) {
    SHAPE((L{Tar().file("a", "first").file("a", "last")}), ({{"a", "file last"}}));
    SHAPE((L{Tar().file("a", "first").dir("a").file("a/x", "x")}), ({{"a", "dir 0755"}, {"a/x", "file x"}}));
    SHAPE((L{Tar().dir("a").dir("a/d").file("a/d/x", "x").file("a", "last")}), ({{"a", "file last"}}));
    SHAPE((L{Tar().file("a", "first").link("a", "b")}), ({{"a", "-> b"}}));
    SHAPE((L{Tar().dir("a", {.mode = 0700}).file("a/x", "x").dir("a", {.mode = 0711})}),
          ({{"a", "dir 0711"}, {"a/x", "file x"}}));
}

BOOST_AUTO_TEST_CASE(a_directory_that_its_layer_replaced_by_a_file_leaves_nothing_below_a_newer_one) {
    SHAPE((L{Tar().dir("a", {.mode = 0711}).file("a/older", ""),
             Tar().dir("a", {.mode = 0700}).dir("a/d", {.mode = 0700}).file("a/d/x", "").file("a/y", "").file("a", "f"),
             Tar().file("a/d/new", "")}),
          ({{"a", "dir 0755"}, {"a/d", "dir 0755"}, {"a/d/new", "file "}}));
}

BOOST_AUTO_TEST_CASE(a_whiteout_then_a_newer_child_shows_only_that_child) {
    SHAPE((L{Tar().dir("a", {.mode = 0700}).file("a/x", ""), Tar().file(".wh.a", ""), Tar().file("a/y", "y")}),
          ({{"a", "dir 0755"}, {"a/y", "file y"}}));
}

BOOST_AUTO_TEST_CASE(a_whiteout_below_a_missing_parent_does_nothing) {
    SHAPE((L{Tar().file("x", ""), Tar().file("no/such/.wh.thing", "").file("no/.wh..wh..opq", "")}), ({{"x", "file "}}));
}

BOOST_AUTO_TEST_CASE(a_whiteout_below_an_older_symbolic_link_hides_nothing_behind_it) {
    SHAPE((L{Tar().link("bin", "usr/bin").dir("usr").dir("usr/bin").file("usr/bin/t", "t"), Tar().file("bin/.wh.t", "")}),
          ({{"bin", "-> usr/bin"}, {"usr", "dir 0755"}, {"usr/bin", "dir 0755"}, {"usr/bin/t", "file t"}}));
}

BOOST_AUTO_TEST_CASE(a_hard_link_chain_over_three_layers_keeps_the_oldest_data) {
    SHAPE((L{Tar().file("a", "old"), Tar().hard("b", "a"), Tar().hard("c", "b")}),
          ({{"a", "file old (3 names)"}, {"b", "file old (3 names)"}, {"c", "file old (3 names)"}}));
    // The middle one replaced by a newer layer.
    SHAPE((L{Tar().file("a", "old"), Tar().hard("b", "a"), Tar().hard("c", "b"), Tar().file("b", "new")}),
          ({{"a", "file old (2 names)"}, {"b", "file new"}, {"c", "file old (2 names)"}}));
    SHAPE((L{Tar().file("a", "old"), Tar().hard("b", "a"), Tar().hard("c", "b"), Tar().file(".wh.b", "").file(".wh.a", "")}),
          ({{"c", "file old"}}));
}

BOOST_AUTO_TEST_CASE(a_hidden_chain_within_one_layer_is_read_again) {
    SHAPE((L{Tar().file("a", "old").hard("b", "a").hard("c", "b"), Tar().file(".wh.a", "").file(".wh.b", "")}),
          ({{"c", "file old"}}));
    SHAPE((L{Tar().file("a", "old").hard("b", "a").hard("c", "b").hard("d", "a"), Tar().file(".wh.a", "").file("b", "new")}),
          ({{"b", "file new"}, {"c", "file old (2 names)"}, {"d", "file old (2 names)"}}));
    // A link of a newer layer to a name that a still newer one hides, which was a link itself.
    SHAPE((L{Tar().file("a", "old").hard("b", "a"), Tar().hard("c", "b"), Tar().file(".wh.a", "").file(".wh.b", "")}),
          ({{"c", "file old"}}));
}

BOOST_AUTO_TEST_CASE(links_of_two_layers_to_one_hidden_file_are_one_file) {
    SHAPE((L{Tar().file("c", "x").hard("b", "c"), Tar().hard("a", "c"), Tar().file("c", "new")}),
          ({{"a", "file x (2 names)"}, {"b", "file x (2 names)"}, {"c", "file new"}}));
}

BOOST_AUTO_TEST_CASE(an_opaque_marker_cuts_a_directory_that_was_a_file_in_its_layer) {
    SHAPE((L{Tar().file("a", "f").file("a/b", "x"), Tar().file("a/.wh..wh..opq", "")}), ({{"a", "dir 0755"}}));
}

BOOST_AUTO_TEST_CASE(a_hard_link_to_a_name_that_its_layer_made_a_directory_first_is_linked) {
    SHAPE((L{Tar().dir("b").link("b", "x"), Tar().hard("c", "b")}), ({{"b", "-> x (2 names)"}, {"c", "-> x (2 names)"}}));
}

BOOST_AUTO_TEST_CASE(a_hard_link_keeps_the_file_that_its_layer_replaces_later) {
    SHAPE((L{Tar().file("a", "first").hard("b", "a").file("a", "second").hard("c", "a")}),
          ({{"a", "file second (2 names)"}, {"b", "file first"}, {"c", "file second (2 names)"}}));
    SHAPE((L{Tar().file("a", "first").file("a", "second"), Tar().hard("b", "a"), Tar().file(".wh.a", "")}),
          ({{"b", "file second"}}));
}

BOOST_AUTO_TEST_CASE(a_hard_link_to_a_symbolic_link_links_the_link) {
    SHAPE((L{Tar().link("s", "x").hard("h", "s")}), ({{"s", "-> x (2 names)"}, {"h", "-> x (2 names)"}}));
    SHAPE((L{Tar().link("s", "x").hard("h", "s"), Tar().file(".wh.s", "")}), ({{"h", "-> x"}}));
    SHAPE((L{Tar().link("s", "x"), Tar().hard("h", "s")}), ({{"s", "-> x (2 names)"}, {"h", "-> x (2 names)"}}));
    SHAPE((L{Tar().link("s", "x").hard("h", "s").file("h/f", "f")}),
          ({{"s", "-> x (2 names)"}, {"h", "-> x (2 names)"}, {"x", "dir 0755"}, {"x/f", "file f"}}));
}

BOOST_AUTO_TEST_CASE(a_hard_link_to_a_directory_is_refused) {
    BOOST_CHECK_THROW(shape({Tar().dir("d").hard("h", "d")}), sg::Error);
    BOOST_CHECK_THROW((shape({Tar().dir("d"), Tar().hard("h", "d")})), sg::Error);
    BOOST_CHECK_THROW(shape({Tar().hard("h", "/")}), sg::Error);
}

BOOST_AUTO_TEST_CASE(a_hard_link_to_nothing_is_refused) {
    BOOST_CHECK_THROW(shape({Tar().hard("h", "nothing")}), sg::Error);
    // Nobody sees it: no harm.
    SHAPE((L{Tar().hard("h", "nothing"), Tar().file(".wh.h", "")}), ({}));
}

BOOST_AUTO_TEST_CASE(a_character_device_0_0_is_kept) {
    SHAPE((L{Tar().file("gone", "x"), Tar().device("gone", 0, 0).device("null", 1, 3)}),
          ({{"gone", "chr 0:0"}, {"null", "chr 1:3"}}));
}

BOOST_AUTO_TEST_CASE(the_entry_of_the_root_sets_its_attributes) {
    Merged m = merge(L{Tar().dir("./", {.mode = 0711, .uid = 1, .gid = 2, .mtime = 77}).file("./x", "")});
    const sg_attr a = m.tree.find("/").value();
    BOOST_TEST(a.mode == 0040711u);
    BOOST_TEST(a.uid == 1u);
    BOOST_TEST(a.gid == 2u);
    BOOST_TEST(a.mtime == 77);
    BOOST_CHECK_THROW(shape({Tar().file(".", "")}), sg::Error);
    BOOST_CHECK_THROW(shape({Tar().link("a/..", "x")}), sg::Error);
}

BOOST_AUTO_TEST_CASE(a_directory_entry_after_its_children_counts) {
    SHAPE((L{Tar().file("a/x", "x").dir("a", {.mode = 0700})}), ({{"a", "dir 0700"}, {"a/x", "file x"}}));
    SHAPE((L{Tar().dir("a", {.mode = 0711}), Tar().file("a/x", "x").dir("a", {.mode = 0700})}),
          ({{"a", "dir 0700"}, {"a/x", "file x"}}));
}

BOOST_AUTO_TEST_CASE(leftovers_of_aufs_are_skipped) {
    SHAPE((L{Tar().dir(".wh..wh.plnk").file(".wh..wh.plnk/x", "data").file(".wh..wh.aufs", "").dir(".wh..wh.orph").file("y", "")}),
          ({{"y", "file "}}));
    // They may be targets of hard links.
    SHAPE((L{Tar().dir(".wh..wh.plnk").file(".wh..wh.plnk/x", "data").hard("y", ".wh..wh.plnk/x")}), ({{"y", "file data"}}));
}

BOOST_AUTO_TEST_CASE(a_whiteout_of_nothing_is_refused) {
    for (const char* name : {".wh.", "a/.wh.", "a/.wh..", "a/.wh..."})
        BOOST_CHECK_THROW(shape({Tar().dir("a").file(name, "")}), sg::Error);
}

BOOST_AUTO_TEST_CASE(a_name_that_ends_with_a_slash_is_a_directory) {
    SHAPE((L{Tar().header('\0', "d/", "", 0, "")}), ({{"d", "dir 0644"}}));
    SHAPE((L{Tar().header('0', "d/", "", 0, "", {.mode = 0700})}), ({{"d", "dir 0700"}}));
}

BOOST_AUTO_TEST_CASE(a_size_in_base_256_is_read) {
    Tar t;
    t.file("big", "data");
    std::string raw = t.without_end();
    raw.replace(124, 12, std::string("\x80\0\0\0\0\0\0\0\0\0\0\x04", 12));
    raw.replace(0, 512, checksummed(raw.substr(0, 512)));
    SHAPE((L{Tar().raw(raw)}), ({{"big", "file data"}}));
}

BOOST_AUTO_TEST_CASE(a_long_name_is_read_and_one_over_the_limit_refused) {
    const std::string longest = std::string(200, 'a') + "/" + std::string(200, 'b');
    SHAPE((L{Tar().file(longest, "x")}), ({{std::string(200, 'a'), "dir 0755"}, {longest, "file x"}}));
    std::string deep;
    while (deep.size() <= 4096) deep += "dir/";
    BOOST_CHECK_EXCEPTION(shape({Tar().file(deep + "x", "x")}), sg::Error, [](const sg::Error& e) {
        return e.code() == sg::Code::limit && e.hint().find("limits.path_length") != std::string::npos;
    });
    BOOST_CHECK_THROW(shape({Tar().file(std::string(256, 'n'), "x")}), sg::Error);
}

BOOST_AUTO_TEST_CASE(extended_attributes_are_kept_but_for_those_of_the_build_machine) {
    const std::string capability("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    Merged m = merge(L{Tar().file("f", "x",
                                  {.xattrs = {{"user.note", "a\nb=c"},
                                              {"security.capability", capability},
                                              {"user.empty", ""},
                                              {"trusted.kept", "t"},
                                              {"trusted.overlay.opaque", "y"},
                                              {"user.overlay.opaque", "y"},
                                              {"security.selinux", "label"},
                                              {"user.rootlesscontainers", "r"}}})});
    const auto root = m.tree.view();
    const auto got = root.xattrs(root.find("f"));
    const decltype(got) expected = {
        {"security.capability", capability}, {"trusted.kept", "t"}, {"user.empty", ""}, {"user.note", "a\nb=c"}};
    BOOST_TEST((got == expected));
}

BOOST_AUTO_TEST_CASE(an_unlisted_parent_does_not_take_what_a_whiteout_or_opaque_marker_hides) {
    SHAPE((L{Tar().dir("a", {.mode = 0700}).file("a/x", ""), Tar().file("a/y", "y").file(".wh.a", "")}),
          ({{"a", "dir 0755"}, {"a/y", "file y"}}));
    SHAPE((L{Tar().dir("p").dir("p/a", {.mode = 0700}).file("p/a/x", ""), Tar().file("p/a/y", "y").file("p/.wh..wh..opq", "")}),
          ({{"p", "dir 0755"}, {"p/a", "dir 0755"}, {"p/a/y", "file y"}}));
}

BOOST_AUTO_TEST_CASE(missing_parents_below_a_set_gid_directory_are_ordinary) {
    Merged m = merge(L{Tar().dir("g", {.mode = 02775, .gid = 50}), Tar().file("g/new/x", "", {.uid = 5, .gid = 5})});
    const sg_attr a = m.tree.find("g/new").value();
    BOOST_TEST(a.mode == 0040755u);
    BOOST_TEST(a.uid == 0u);
    BOOST_TEST(a.gid == 0u);
    BOOST_TEST(a.mtime == 0);
    BOOST_TEST(m.tree.find("g").value().mode == 0042775u);
}

BOOST_AUTO_TEST_CASE(a_directorys_time_is_its_entrys) {
    Merged m = merge(L{Tar().dir("a", {.mtime = 5}).file("a/x", "").dir("b", {.mtime = 6}).file("b/y", ""),
                       Tar().file("a/n/z", "").file("b/.wh..wh..opq", "").file("a/.wh.x", "")});
    BOOST_TEST(m.tree.find("a").value().mtime == 5);
    BOOST_TEST(m.tree.find("b").value().mtime == 6);
}

BOOST_AUTO_TEST_CASE(compression_is_told_by_the_first_bytes) {
    const std::string tar = Tar().file("a", "x").bytes();
    for (const std::string& stored : {tar, gzip(tar), zstd(tar), xz(tar), bzip2(tar)}) {
        Merged m = merge({layer(stored, tar)});
        BOOST_TEST(lines(m).at("a") == "file x");
    }
}

// ---- Beyond the table ---------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(attributes_are_kept) {
    Merged m = merge(L{Tar()
                           .file("su", "x", {.mode = 04755, .uid = 70000, .gid = 4000000000, .mtime = 1234567890})
                           .dir("tmp", {.mode = 01777, .mtime = -5})
                           .device("tty", 4, 64)});
    sg_attr a = m.tree.find("su").value();
    BOOST_TEST(a.mode == 0104755u);
    BOOST_TEST(a.uid == 70000u);
    BOOST_TEST(a.gid == 4000000000u);
    BOOST_TEST(a.mtime == 1234567890);
    BOOST_TEST(a.size == 1u);
    a = m.tree.find("tmp").value();
    BOOST_TEST(a.mode == 0041777u);
    BOOST_TEST(a.mtime == 0);
    a = m.tree.find("tty").value();
    BOOST_TEST(a.mode == 0020644u);
    BOOST_TEST(a.major == 4u);
    BOOST_TEST(a.minor == 64u);
}

BOOST_AUTO_TEST_CASE(names_are_cleaned_as_in_a_chroot) {
    SHAPE((L{Tar().file("/abs", "1").file("./rel", "2").file("../../up", "3").file("a/../b", "4").file("c//d", "5")}),
          ({{"abs", "file 1"}, {"rel", "file 2"}, {"up", "file 3"}, {"b", "file 4"}, {"c", "dir 0755"}, {"c/d", "file 5"}}));
}

BOOST_AUTO_TEST_CASE(names_are_bytes_and_not_normalised) {
    const std::string composed = "\xc3\xa9", decomposed = "e\xcc\x81", broken = "\xff\xfe";
    SHAPE((L{Tar()
                 .pax("path", composed).file("x", "1")
                 .pax("path", decomposed).file("x", "2")
                 .pax("linkpath", decomposed).link("l", "x")
                 .pax("linkpath", decomposed).hard("h", "x")
                 .file(broken, "3")}),
          ({{composed, "file 1"},
            {decomposed, "file 2 (2 names)"},
            {"l", "-> " + decomposed},
            {"h", "file 2 (2 names)"},
            {broken, "file 3"}}));
}

BOOST_AUTO_TEST_CASE(stargz_names_are_dropped_only_when_asked) {
    const Tar t = Tar().file("stargz.index.json", "{}").file(".no.prefetch.landmark", "x").file("a/stargz.index.json", "y");
    BOOST_TEST(shape({t}).size() == 4u);
    auto layers = layers_of({t});
    layers[0].drop_stargz = true;
    Merged m = merge(std::move(layers));
    Lines l = lines(m);
    l.erase(".");
    BOOST_TEST(text(l) == text({{"a", "dir 0755"}, {"a/stargz.index.json", "file y"}}));
}

BOOST_AUTO_TEST_CASE(hidden_files_are_not_handed_to_the_writer) {
    Merged m = merge(L{Tar().file("a", "1").file("b", "2"), Tar().file("a", "3").file(".wh.b", "")});
    BOOST_TEST(m.recorder.contents.size() == 1u);
    BOOST_TEST(m.recorder.contents[0].hint == "a");
    BOOST_TEST(m.recorder.contents[0].bytes == "3");
}

BOOST_AUTO_TEST_CASE(an_image_without_layers_is_an_empty_root) {
    Merged m = merge(std::vector<sg::LayerInput>{});
    BOOST_TEST(text(lines(m)) == ". dir 0755\n");
    sg::LayerInput empty = layer(gzip(""));
    empty.diff_id = sha256("");
    Merged e = merge({std::move(empty), layer(std::string(1024, '\0'))});
    BOOST_TEST(text(lines(e)) == ". dir 0755\n");
}

BOOST_AUTO_TEST_SUITE_END()
