// SPDX-License-Identifier: BSD-3-Clause
// Trees: attributes, links, names, owners, directories of every size.
#include "support.hpp"

#include <sys/stat.h>

using namespace testing;
using singularity::Code;
using singularity::Host;
using squashfs::SquashfsWriter;

namespace {

std::string refusal(const std::function<void(MemoryTree&)>& make, Code wanted = Code::limit) {
    TemporaryFile file;
    SquashfsWriter writer(file.fd(), 0, {}, 1u);
    MemoryTree tree;
    make(tree);
    const auto [code, message] = failure([&] { writer.finish(tree.foreign(), Host()); });
    BOOST_TEST((code == wanted), message);
    return message;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_kind_of_file_keeps_its_attributes) {
    const auto w = written({}, 1, [](auto& writer, MemoryTree& tree) {
        tree.at("").attr.mode = 041777;
        tree.at("").attr.mtime = 12345;
        const auto set = [](MemoryTree::Node& n, uint32_t uid, uint32_t gid, int64_t mtime) {
            n.attr.uid = uid, n.attr.gid = gid, n.attr.mtime = mtime;
        };
        set(tree.file("suid", 5, store(writer, "hello"), 0104755), 0, 0, 1);
        set(tree.add("dir", 042750), 1000, 4294967294u, INT64_MIN);
        auto& link = tree.add("dir/link", 0120777);
        link.target = "../some/where";
        set(link, 65536, 70000, int64_t{1} << 40);
        auto& device = tree.add("dir/device", 020666);
        device.attr.major = 0xfff, device.attr.minor = 0xfffff;
        auto& disk = tree.add("dir/disk", 060660);
        disk.attr.major = 8, disk.attr.minor = 259;
        tree.add("dir/whiteout", 020000);
        set(tree.add("dir/pipe", 010644), 7, 8, 4294967295);
        set(tree.add("dir/socket", 0140755), 7, 8, -5);
    });
    const auto stat = [&](const char* path) { return (*w).stat((*w).find(path)); };
    BOOST_TEST(stat("").mode == 041777u);
    BOOST_TEST(stat("").mtime == 12345);
    BOOST_TEST(stat("").nlink == 3u);
    BOOST_TEST(stat("suid").mode == 0104755u);
    BOOST_TEST(stat("dir").mode == 042750u);
    BOOST_TEST(stat("dir").uid == 1000u);
    BOOST_TEST(stat("dir").gid == 4294967294u);
    BOOST_TEST(stat("dir").mtime == 0);
    BOOST_TEST(stat("dir/link").mode == 0120777u);
    BOOST_TEST(stat("dir/link").uid == 65536u);
    BOOST_TEST(stat("dir/link").mtime == 4294967295);
    BOOST_TEST(stat("dir/link").size == 13u);
    BOOST_TEST((*w).link_target((*w).find("dir/link")) == "../some/where");
    BOOST_TEST(stat("dir/device").major == 0xfffu);
    BOOST_TEST(stat("dir/device").minor == 0xfffffu);
    BOOST_TEST(stat("dir/disk").mode == 060660u);
    BOOST_TEST(stat("dir/disk").major == 8u);
    BOOST_TEST(stat("dir/disk").minor == 259u);
    BOOST_TEST(stat("dir/whiteout").mode == 020000u);
    BOOST_TEST(stat("dir/pipe").mode == 010644u);
    BOOST_TEST(stat("dir/pipe").mtime == 4294967295);
    BOOST_TEST(stat("dir/socket").mode == 0140755u);
    BOOST_TEST(stat("dir/socket").mtime == 0);
}

BOOST_AUTO_TEST_CASE(hard_links_are_one_inode) {
    const auto w = written({}, 1, [](auto& writer, MemoryTree& tree) {
        tree.add("a", 040755);
        tree.add("b", 040755);
        tree.file("b/file", 200000, store(writer, text(1, 200000)));
        tree.link("a/same", "b/file");
        tree.link("z", "b/file");
        tree.add("b/device", 020666).attr.major = 1;
        tree.link("a/device", "b/device");
        tree.add("b/symlink", 0120777).target = "x";
        tree.link("a/symlink", "b/symlink");
        tree.add("b/pipe", 010666);
        tree.link("a/pipe", "b/pipe");
    });
    for (const auto& [one, other] : {std::pair("a/same", "b/file"), {"z", "b/file"}, {"a/device", "b/device"}, {"a/symlink", "b/symlink"}, {"a/pipe", "b/pipe"}}) {
        BOOST_TEST((*w).find(one) == (*w).find(other), one);
        BOOST_TEST((*w).stat((*w).find(one)).nlink == (std::string(other) == "b/file" ? 3u : 2u), one);
    }
    BOOST_TEST((read_file(*w, "z") == text(1, 200000)));
    uint64_t bytes = 0, inodes = 0;
    uint32_t block = 0;
    w.reader->totals(bytes, inodes, block);
    BOOST_TEST(inodes == 7u);
    BOOST_TEST(block == 131072u);
}

BOOST_AUTO_TEST_CASE(extended_attributes_are_kept_where_squashfs_has_a_place) {
    const std::string large = noise(1, 60000);
    std::vector<std::pair<std::string, std::string>> many;
    for (int i = 0; i < 300; ++i) many.emplace_back("user.k" + std::to_string(i), text(static_cast<uint32_t>(i), static_cast<size_t>(i) * 3));
    const auto w = written({}, 1, [&](auto& writer, MemoryTree& tree) {
        auto& f = tree.file("f", 3, store(writer, "abc"));
        f.xattrs = {{"security.capability", std::string("\1\0\0\2\0\4\0\0", 8)}, {"system.posix_acl_access", "x"}, {"user.empty", ""}, {"trusted.t", "1"},
                    {"user.", "no name"}, {"weird", "x"}};
        auto& d = tree.add("d", 040755);
        d.xattrs = many;
        tree.at("").xattrs = {{"user.root", "yes"}};
        auto& l = tree.add("l", 0120777);
        l.target = "f";
        l.xattrs = {{"trusted.large", large}};
        auto& p = tree.add("p", 010600);
        p.xattrs = {{"trusted.large", large}};
        tree.add("c", 020600).xattrs = {{"trusted.large", large}, {"trusted.more", "m"}};
    });
    using List = std::vector<std::pair<std::string, std::string>>;
    const auto sorted = [&](const char* path) {
        List out = (*w).xattrs((*w).find(path));
        std::sort(out.begin(), out.end());
        return out;
    };
    BOOST_TEST((sorted("f") == List{{"security.capability", std::string("\1\0\0\2\0\4\0\0", 8)}, {"trusted.t", "1"}, {"user.empty", ""}}));
    std::sort(many.begin(), many.end());
    BOOST_TEST((sorted("d") == many));
    BOOST_TEST((sorted("") == List{{"user.root", "yes"}}));
    BOOST_TEST((sorted("l") == List{{"trusted.large", large}}));
    BOOST_TEST((sorted("p") == List{{"trusted.large", large}}));
    BOOST_TEST((sorted("c") == List{{"trusted.large", large}, {"trusted.more", "m"}}));
    BOOST_TEST((*w).link_target((*w).find("l")) == "f");
    BOOST_TEST(w.stats.xattrs_dropped == 3u);
    BOOST_TEST(w.size < 3 * large.size());  // the large value is there once
    const std::string message = refusal([](MemoryTree& t) { t.add("f", 010600).xattrs = {{"user.x", std::string(65537, 'x')}}; });
    BOOST_TEST(contains(message, "65537"), message);
}

BOOST_AUTO_TEST_CASE(directories_of_every_size_can_be_listed_and_searched) {
    // Listings around 65,535 bytes change the kind of inode; 70,000 entries need many headers and an index.
    for (const size_t count : {0u, 1u, 256u, 257u, 70000u}) {
        const auto w = written({}, 1, [&](auto&, MemoryTree& tree) {
            tree.add("d", 040755);
            for (size_t i = 0; i < count; ++i) tree.add("d/" + std::to_string(i * 7919), i % 2 ? 010644 : 020644);
        });
        const uint64_t d = (*w).find("d");
        size_t seen = 0;
        (*w).list(d, [&](std::string_view, uint64_t, uint32_t) { return ++seen, true; });
        BOOST_TEST(seen == count);
        for (size_t i = 0; i < count; i += 501) {
            const uint64_t node = (*w).find("d/" + std::to_string(i * 7919));
            BOOST_REQUIRE(node != SG_NO_NODE);
            BOOST_TEST((*w).stat(node).mode == (i % 2 ? 010644u : 020644u));
        }
        BOOST_TEST((*w).find("d/x") == SG_NO_NODE);
        BOOST_TEST((*w).find("d/") == d);
    }
    for (size_t last = 1; last <= 12; ++last) {  // the listing has 65,530 to 65,541 bytes
        const auto w = written({}, 1, [&](auto&, MemoryTree& tree) {
            tree.add("d", 040755);
            // 255 names of 248 bytes: one run of 12 + 255 * 256 = 65,292; a shorter name fills up.
            for (int i = 0; i < 255; ++i) tree.add("d/" + std::to_string(100 + i) + std::string(245, 'n'), 010644);
            tree.add("d/z" + std::string(228 + last, 'z'), 010644);
        });
        size_t seen = 0;
        (*w).list((*w).find("d"), [&](std::string_view, uint64_t, uint32_t) { return ++seen, true; });
        BOOST_TEST(seen == 256u, last);
    }
}

BOOST_AUTO_TEST_CASE(a_listing_can_be_continued_at_any_entry) {
    const auto w = written({}, 1, [&](auto&, MemoryTree& tree) {
        for (int i = 10; i < 60; ++i) tree.add(std::to_string(i), 010644);
    });
    struct State {
        std::vector<std::string> names;
        std::vector<uint64_t> cursors;
        size_t limit;
    };
    const auto list = [&](uint64_t cursor, size_t limit) {
        State s{{}, {}, limit};
        w.reader->list((*w).root(), cursor, [](void* a, const char* name, uint64_t length, uint64_t, uint32_t type, uint64_t next) -> int32_t {
            auto& s = *static_cast<State*>(a);
            BOOST_TEST(type == static_cast<uint32_t>(S_IFIFO));
            s.names.emplace_back(name, length);
            s.cursors.push_back(next);
            return s.names.size() == s.limit;
        }, &s);
        return s;
    };
    const State all = list(0, 1000);
    BOOST_TEST(all.names.size() == 50u);
    for (size_t i = 0; i < 50; ++i) {
        const State rest = list(all.cursors[i], 7);
        BOOST_TEST(rest.names == std::vector<std::string>(all.names.begin() + static_cast<long>(i) + 1, all.names.begin() + static_cast<long>(std::min<size_t>(i + 8, 50))),
                   boost::test_tools::per_element());
    }
    BOOST_TEST(list(1u << 30, 5).names.empty());
}

BOOST_AUTO_TEST_CASE(a_deep_tree_needs_no_deep_stack) {
    const int depth = 5000;
    const auto w = written({}, 1, [&](auto&, MemoryTree& tree) {
        std::string path = "d";
        for (int i = 0; i < depth; ++i) {
            tree.add(path, 040755);
            path += "/d";
        }
    });
    uint64_t node = (*w).root();
    for (int i = 0; i < depth; ++i) {
        node = (*w).lookup(node, "d");
        BOOST_REQUIRE(node != SG_NO_NODE);
    }
    BOOST_TEST((*w).lookup(node, "d") == SG_NO_NODE);
}

BOOST_AUTO_TEST_CASE(names_are_bytes_in_order_of_bytes) {
    const std::vector<std::string> names{"!", "-", "A", "a", "a-", "a.", "aa", std::string(255, 'l'), "\x7f", "\xc3\xa4", "\xff\xfe", " ", "\n"};
    const auto w = written({}, 1, [&](auto&, MemoryTree& tree) {
        for (const auto& n : names) tree.add(n, 010644);
    });
    std::vector<std::string> sorted = names, seen;
    std::sort(sorted.begin(), sorted.end());
    (*w).list((*w).root(), [&](std::string_view n, uint64_t, uint32_t) { return seen.emplace_back(n), true; });
    BOOST_TEST((seen == sorted));
    for (const auto& n : names) BOOST_TEST((*w).lookup((*w).root(), n) != SG_NO_NODE);
}

BOOST_AUTO_TEST_CASE(what_squashfs_cannot_hold_is_refused_with_the_name) {
    BOOST_TEST(contains(refusal([](MemoryTree& t) { t.add(std::string(256, 'n'), 010644); }), "256 bytes"));
    BOOST_TEST(contains(refusal([](MemoryTree& t) { t.add("link", 0120777).target = std::string(4096, 't'); }), "'link'"));
    BOOST_TEST(contains(refusal([](MemoryTree& t) { t.add("link", 0120777); }), "0 bytes"));
    BOOST_TEST(contains(refusal([](MemoryTree& t) { t.add("dev", 020644).attr.minor = 1u << 20; }), "0:1048576"));
    BOOST_TEST(contains(refusal([](MemoryTree& t) { t.add("what", 0644); }, Code::invalid), "'what'"));
    BOOST_TEST(contains(refusal([](MemoryTree& t) { t.add("..", 010644); }, Code::invalid), "'..'"));
    BOOST_TEST(contains(refusal([](MemoryTree& t) { t.at("").attr.mode = 0100644; }, Code::invalid), "no directory"));
    BOOST_TEST(contains(refusal([](MemoryTree& t) { t.file("f", 5, 0); }, Code::internal), "never stored"));
    BOOST_TEST(contains(refusal([](MemoryTree& t) { t.file("f", 5, SG_NO_CONTENT); }, Code::internal), "no content"));
    BOOST_TEST(contains(refusal([](MemoryTree& t) {
        for (uint32_t i = 0; i < 65536; ++i) t.add(std::to_string(i), 010644).attr.uid = i;
    }), "65,535 different owners"));
    const auto most = written({}, 1, [](auto&, MemoryTree& tree) {
        for (uint32_t i = 0; i < 65535; ++i) tree.add(std::to_string(i), 010644).attr.uid = i;
    });
    BOOST_TEST((*most).stat((*most).find("65534")).uid == 65534u);
    BOOST_TEST((*most).stat((*most).find("17")).uid == 17u);
}

BOOST_AUTO_TEST_CASE(the_super_block_says_what_was_asked_for) {
    auto options = squashfs::parse_compression("gzip");
    options.mtime = 1700000000;
    const auto w = written(options, 1, [](auto& writer, MemoryTree& tree) { tree.file("f", 3, store(writer, "abc")); }, 8192);
    const auto s = squashfs::read_super_block(w.file->fd(), 8192, w.size);
    BOOST_TEST(s.mtime == 1700000000u);
    BOOST_TEST(s.inodes == 2u);
    BOOST_TEST(s.fragments == 1u);
    BOOST_TEST(s.compressor == 1u);
    BOOST_TEST((s.bytes_used <= w.size && w.size - s.bytes_used < 4096));
    BOOST_TEST(std::string(w.reader->family()) == "squashfs gzip 131072");
    BOOST_TEST(w.reader->fd() == w.file->fd());
}
