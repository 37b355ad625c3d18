// What the server answers to each request of the kernel.
#include <dirent.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>

#include "client.hpp"

using fake::Client;
using fake::Root;

BOOST_AUTO_TEST_SUITE(protocol)

BOOST_AUTO_TEST_CASE(init_takes_only_flags_that_the_kernel_offers) {
    Root root;
    Client c(root);
    const auto all = c.init().as<fuse_init_out>();
    BOOST_TEST(all.major == 7u);
    BOOST_TEST(all.minor == 38u);
    BOOST_TEST((all.flags & FUSE_NO_OPEN_SUPPORT) != 0);
    BOOST_TEST((all.flags & FUSE_WRITEBACK_CACHE) == 0);
    BOOST_TEST(all.max_pages == 256);
    const auto few = c.init(FUSE_ASYNC_READ, 7, 31).as<fuse_init_out>();
    BOOST_TEST(few.flags == FUSE_ASYNC_READ);
    BOOST_TEST(few.minor == 31u);
}

BOOST_AUTO_TEST_CASE(init_of_another_major_version_is_negotiated_or_refused) {
    Root root;
    Client c(root);
    BOOST_TEST(c.init(~0u, 8, 1).as<fuse_init_out>().major == 7u);
    BOOST_TEST(c.init(~0u, 6, 1).error == -EPROTO);
    BOOST_TEST(c.init(~0u, 7, 12).error == -EPROTO);
    BOOST_TEST(c.ask(FUSE_INIT, 0, "short").error == -EPROTO);
}

BOOST_AUTO_TEST_CASE(the_root_is_node_one_and_shows_the_images_attributes) {
    Root root;
    root.add(root.root(), "d", S_IFDIR | 0700);
    Client c(root);
    const auto a = c.attr(1);
    BOOST_TEST(a.mode == (S_IFDIR | 0755u));
    BOOST_TEST(a.ino == 1u);
    BOOST_TEST(a.nlink == 3u);
    BOOST_TEST(a.uid == 1000u);
    BOOST_TEST(a.gid == 2000u);
    BOOST_TEST(a.mtime == 1234567u);
}

BOOST_AUTO_TEST_CASE(a_lookup_answers_forever) {
    Root root;
    root.add(root.root(), "hello", S_IFREG | 0644, "world");
    Client c(root);
    const auto found = c.lookup(1, "hello").as<fuse_entry_out>();
    BOOST_TEST(found.nodeid > 1u);
    BOOST_TEST(found.attr.size == 5u);
    BOOST_TEST(found.entry_valid > 1000000u);
    BOOST_TEST(found.attr_valid > 1000000u);
}

BOOST_AUTO_TEST_CASE(a_missing_name_is_missing_forever) {
    Root root;
    Client c(root);
    const auto r = c.lookup(1, "nothing");
    BOOST_TEST(r.error == 0);
    BOOST_TEST(r.as<fuse_entry_out>().nodeid == 0u);
    BOOST_TEST(r.as<fuse_entry_out>().entry_valid > 1000000u);
}

BOOST_AUTO_TEST_CASE(with_mapped_ids_every_node_belongs_to_one_user) {
    Root root;
    root.add(root.root(), "f", S_IFREG | 0600, "x");
    sg_mount_view view{};
    view.map_ids = 1;
    view.uid = 7;
    view.gid = 8;
    Client c(root, view);
    BOOST_TEST(c.attr(1).uid == 7u);
    const auto f = c.lookup(1, "f").as<fuse_entry_out>();
    BOOST_TEST(f.attr.uid == 7u);
    BOOST_TEST(f.attr.gid == 8u);
}

BOOST_AUTO_TEST_CASE(a_device_shows_its_numbers_as_the_kernel_packs_them) {
    Root root;
    const auto n = root.add(root.root(), "null", S_IFCHR | 0666);
    root.at(n).attr.major = 259;
    root.at(n).attr.minor = 0x12345;
    Client c(root);
    const auto a = c.lookup(1, "null").as<fuse_entry_out>().attr;
    BOOST_TEST(a.rdev == ((0x45u) | (259u << 8) | (0x12300u << 12)));
}

BOOST_AUTO_TEST_CASE(reads_give_what_is_there_and_nothing_past_the_end) {
    Root root;
    std::string data(100000, '\0');
    for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7 + i / 251);
    root.add(root.root(), "f", S_IFREG | 0644, data);
    Client c(root);
    const auto id = c.id(1, "f");
    BOOST_TEST((c.read(id, 0, 65536).body == data.substr(0, 65536)));
    BOOST_TEST((c.read(id, 65536, 65536).body == data.substr(65536)));
    BOOST_TEST(c.read(id, 100000, 4096).body.empty());
    BOOST_TEST(c.read(id, UINT64_MAX, 4096).body.empty());
    BOOST_TEST((c.read(id, 5, 1).body == data.substr(5, 1)));
}

BOOST_AUTO_TEST_CASE(a_reader_that_gives_less_than_the_size_is_an_io_error) {
    Root root;
    const auto n = root.add(root.root(), "f", S_IFREG | 0644, "0123456789");
    root.at(n).attr.size = 20;
    Client c(root);
    BOOST_TEST(c.read(c.id(1, "f"), 0, 4096).error == -EIO);
    BOOST_TEST(c.read(c.id(1, "f"), 0, 10).error == 0);
}

BOOST_AUTO_TEST_CASE(damage_in_the_image_is_an_io_error_of_that_node_alone) {
    Root root;
    const auto bad = root.add(root.root(), "bad", S_IFREG | 0644, "x");
    root.add(root.root(), "good", S_IFREG | 0644, "x");
    Client c(root);
    const auto id = c.id(1, "bad");
    root.broken.insert(bad);
    BOOST_TEST(c.ask_with(FUSE_GETATTR, id, fuse_getattr_in{}).error == -EIO);
    BOOST_TEST(c.lookup(1, "bad").error == -EIO);
    BOOST_TEST(c.read(id, 0, 10).error == -EIO);
    BOOST_TEST(c.ask(FUSE_READLINK, id).error == -EIO);
    BOOST_TEST(c.names(1) == ". .. bad good ");
    BOOST_TEST(c.names(1, 4096, true) == ". .. bad good ");
    BOOST_TEST(c.lookup(id, "x").error == -EIO);
    BOOST_TEST(c.read(c.id(1, "good"), 0, 10).body == "x");
}

BOOST_AUTO_TEST_CASE(unknown_node_numbers_are_io_errors) {
    Root root;
    Client c(root);
    for (const uint64_t id : {uint64_t{0}, uint64_t{2}, uint64_t{5}, uint64_t{100000}, uint64_t{1} << 62,
                              uint64_t{1} << 63, UINT64_MAX, UINT64_MAX - 1}) {
        BOOST_TEST(c.ask_with(FUSE_GETATTR, id, fuse_getattr_in{}).error == -EIO);
        BOOST_TEST(c.readdir(id, 0, 4096, true).error == -EIO);
        BOOST_TEST(c.read(id, 0, 4096).error == -EIO);
    }
}

BOOST_AUTO_TEST_CASE(links_are_read_and_too_long_ones_refused) {
    Root root;
    root.add(root.root(), "l", S_IFLNK | 0777, "some/where");
    root.add(root.root(), "long", S_IFLNK | 0777, std::string(5000, 'x'));
    Client c(root);
    BOOST_TEST(c.ask(FUSE_READLINK, c.id(1, "l")).body == "some/where");
    BOOST_TEST(c.ask(FUSE_READLINK, c.id(1, "long")).error == -ENAMETOOLONG);
}

BOOST_AUTO_TEST_CASE(listings_go_on_from_any_part_and_step_of_cursors) {
    for (const uint64_t step : {1, 3, 4096}) {
        Root root;
        root.cursor_step = step;
        std::string all = ". .. ";
        for (int i = 100; i < 400; ++i) {
            root.add(root.root(), "name-" + std::to_string(i), S_IFREG | 0644, "x");
            all += "name-" + std::to_string(i) + " ";
        }
        Client c(root);
        for (const uint32_t size : {200u, 333u, 4096u, 100000u})
            for (const bool plus : {false, true}) BOOST_TEST(c.names(1, size, plus) == all);
    }
}

BOOST_AUTO_TEST_CASE(a_listing_tells_types_and_inodes) {
    Root root;
    root.add(root.root(), "d", S_IFDIR | 0755);
    root.add(root.root(), "f", S_IFREG | 0644, "x");
    root.add(root.root(), "l", S_IFLNK | 0777, "f");
    Client c(root);
    const auto entries = c.list(1, 4096, true);
    BOOST_TEST(entries.size() == 5u);
    BOOST_TEST(entries[0].id == 0u);
    BOOST_TEST(entries[2].type == DT_DIR);
    BOOST_TEST(entries[3].type == DT_REG);
    BOOST_TEST(entries[4].type == DT_LNK);
    BOOST_TEST(entries[3].id == c.id(1, "f"));
    BOOST_TEST(entries[3].ino == c.attr(entries[3].id).ino);
    BOOST_TEST(c.list(1, 4096, false)[4].ino == entries[4].ino);
}

BOOST_AUTO_TEST_CASE(offsets_that_no_listing_gave_do_no_harm) {
    Root root;
    root.add(root.root(), "f", S_IFREG | 0644, "x");
    const char* places[] = {"/g/", "/a", nullptr};
    sg_mount_view view{};
    view.places = places;
    Client c(root, view);
    for (const uint64_t offset :
         {uint64_t{1}, uint64_t{2}, uint64_t{4097}, uint64_t{9999}, uint64_t{1} << 62, UINT64_MAX})
        for (const uint64_t id : {uint64_t{1}, c.id(1, "g")}) BOOST_TEST(c.readdir(id, offset, 4096, true).error <= 0);
}

BOOST_AUTO_TEST_CASE(names_that_no_path_can_reach_are_not_shown) {
    Root root;
    for (const std::string& name : {std::string(".."), std::string("."), std::string(""), std::string("a/b"),
                                    std::string("nul\0nul", 7), std::string(300, 'n'), std::string("fine")})
        root.add(root.root(), name, S_IFREG | 0644, "x");
    Client c(root);
    BOOST_TEST(c.names(1) == ". .. fine ");
    BOOST_TEST(c.names(1, 300, true) == ". .. fine ");
    BOOST_TEST(c.lookup(1, std::string(300, 'n')).error == -ENAMETOOLONG);
}

BOOST_AUTO_TEST_CASE(a_listing_of_a_file_is_refused) {
    Root root;
    root.add(root.root(), "f", S_IFREG | 0644, "x");
    Client c(root);
    BOOST_TEST(c.readdir(c.id(1, "f"), 0, 4096, false).error == -ENOTDIR);
}

BOOST_AUTO_TEST_CASE(a_buffer_too_small_for_one_entry_gives_an_empty_part) {
    Root root;
    Client c(root);
    BOOST_TEST(c.readdir(1, 0, 8, false).error == 0);
    BOOST_TEST(c.readdir(1, 0, 8, false).body.empty());
}

BOOST_AUTO_TEST_CASE(extended_attributes_are_the_images) {
    Root root;
    const auto n = root.add(root.root(), "f", S_IFREG | 0755, "x");
    root.at(n).xattrs = {{"security.capability", std::string("\1\0\0\2", 4)}, {"user.a", "value"}};
    Client c(root);
    const auto id = c.id(1, "f");
    const auto get = [&](const std::string& name, uint32_t size) {
        fuse_getxattr_in in{};
        in.size = size;
        return c.ask_with(FUSE_GETXATTR, id, in, name + '\0');
    };
    BOOST_TEST(get("user.a", 100).body == "value");
    BOOST_TEST(get("user.a", 0).as<fuse_getxattr_out>().size == 5u);
    BOOST_TEST(get("user.a", 4).error == -ERANGE);
    BOOST_TEST(get("user.b", 100).error == -ENODATA);
    BOOST_TEST((get("security.capability", 100).body == std::string("\1\0\0\2", 4)));
    fuse_getxattr_in in{};
    in.size = 100;
    BOOST_TEST((c.ask_with(FUSE_LISTXATTR, id, in).body == std::string("security.capability\0user.a\0", 27)));
    in.size = 10;
    BOOST_TEST(c.ask_with(FUSE_LISTXATTR, id, in).error == -ERANGE);
    in.size = 0;
    BOOST_TEST(c.ask_with(FUSE_LISTXATTR, id, in).as<fuse_getxattr_out>().size == 27u);
}

BOOST_AUTO_TEST_CASE(of_an_image_without_extended_attributes_the_kernel_does_not_ask_again) {
    Root root;
    root.some_xattrs = false;
    Client c(root);
    fuse_getxattr_in in{};
    in.size = 100;
    BOOST_TEST(c.ask_with(FUSE_GETXATTR, 1, in, std::string("security.capability\0", 20)).error == -ENOSYS);
    BOOST_TEST(c.ask_with(FUSE_LISTXATTR, 1, in).body.empty());
}

BOOST_AUTO_TEST_CASE(open_is_done_without_where_the_kernel_can_and_answered_where_not) {
    Root root;
    Client c(root);
    c.init();
    BOOST_TEST(c.ask_with(FUSE_OPEN, 1, fuse_open_in{}).error == -ENOSYS);
    BOOST_TEST(c.ask_with(FUSE_OPENDIR, 1, fuse_open_in{}).error == -ENOSYS);
    c.init(FUSE_NO_OPEN_SUPPORT, 7, 27);
    BOOST_TEST(c.ask_with(FUSE_OPEN, 1, fuse_open_in{}).error == -ENOSYS);
    BOOST_TEST((c.ask_with(FUSE_OPENDIR, 1, fuse_open_in{}).as<fuse_open_out>().open_flags & FOPEN_KEEP_CACHE) != 0u);
}

BOOST_AUTO_TEST_CASE(what_would_change_the_image_is_refused_and_the_rest_unknown) {
    Root root;
    Client c(root);
    for (const uint32_t op : {FUSE_WRITE, FUSE_MKDIR, FUSE_UNLINK, FUSE_SETATTR, FUSE_CREATE, FUSE_SETXATTR})
        BOOST_TEST(c.ask(op, 1, std::string(64, '\0')).error == -EROFS);
    for (const uint32_t op :
         {uint32_t{FUSE_ACCESS}, uint32_t{FUSE_FLUSH}, uint32_t{FUSE_LSEEK}, uint32_t{52}, uint32_t{9999}})
        BOOST_TEST(c.ask(op, 1, std::string(64, '\0')).error == -ENOSYS);
}

BOOST_AUTO_TEST_CASE(requests_that_want_no_answer_get_none) {
    Root root;
    Client c(root);
    c.send(FUSE_FORGET, 1, std::string(8, '\0'));
    c.send(FUSE_BATCH_FORGET, 0, std::string(24, '\0'));
    c.send(FUSE_INTERRUPT, 0, std::string(8, '\0'));
    BOOST_TEST(c.attr(1).ino == 1u);  // the next answer is the next question's
}

BOOST_AUTO_TEST_CASE(requests_cut_short_are_refused) {
    Root root;
    Client c(root);
    BOOST_TEST(c.ask(FUSE_LOOKUP, 1, "no end").error == -EINVAL);
    BOOST_TEST(c.ask(FUSE_LOOKUP, 1, "").error == -EINVAL);
    BOOST_TEST(c.ask(FUSE_READ, 1, std::string(sizeof(fuse_read_in) - 1, 'x')).error == -EINVAL);
    BOOST_TEST(c.ask(FUSE_READDIR, 1, "x").error == -EINVAL);
    BOOST_TEST(c.ask(FUSE_GETXATTR, 1, "x").error == -EINVAL);
    BOOST_TEST(c.ask(FUSE_GETXATTR, 1, std::string(sizeof(fuse_getxattr_in), 'x')).error == -EINVAL);
}

BOOST_AUTO_TEST_CASE(statfs_tells_the_size_of_the_image) {
    Root root;
    Client c(root);
    const auto s = c.ask(FUSE_STATFS, 1).as<fuse_statfs_out>().st;
    BOOST_TEST(s.bsize == 131072u);
    BOOST_TEST(s.blocks == 8u);
    BOOST_TEST(s.files == 1u);
    BOOST_TEST(s.bfree == 0u);
    BOOST_TEST(s.namelen == 255u);
}

BOOST_AUTO_TEST_CASE(many_requests_at_once_are_all_answered) {
    Root root;
    for (int i = 0; i < 50; ++i) root.add(root.root(), "f" + std::to_string(i), S_IFREG | 0644, std::to_string(i));
    Client c(root);
    for (int round = 0; round < 20; ++round)
        for (int i = 0; i < 50; ++i) {
            const auto e = c.lookup(1, "f" + std::to_string(i)).as<fuse_entry_out>();
            BOOST_REQUIRE(c.read(e.nodeid, 0, 4096).body == std::to_string(i));
        }
}

BOOST_AUTO_TEST_CASE(the_end_of_the_transport_ends_the_server_and_its_threads) {
    Root root;
    const auto n = root.add(root.root(), "f", S_IFREG | 0644, "x");
    root.at(n).shared = 1;
    Client c(root);
    c.read(c.id(1, "f"), 0, 4096);
    c.end();  // joins them all, or the test hangs
    BOOST_TEST(root.reads == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
