// Mount points that the image lacks.
#include <dirent.h>

#include <boost/test/unit_test.hpp>

#include "client.hpp"

using fake::Client;
using fake::Root;

namespace {

struct Image {
    Root root;
    Image() {
        const auto etc = root.add(root.root(), "etc", S_IFDIR | 0755);
        root.add(etc, "passwd", S_IFREG | 0644, "root");
        root.add(root.root(), "lib", S_IFLNK | 0777, "etc");
        root.add(root.root(), "usr", S_IFDIR | 0755);
    }
    Client with(std::vector<const char*> places) {
        places.push_back(nullptr);
        sg_mount_view view{};
        view.places = places.data();
        return Client(root, view);
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(places)

BOOST_AUTO_TEST_CASE(missing_directories_and_files_appear_in_byte_order_with_their_parents) {
    Image image;
    auto c = image.with({"/data/deep/er/", "/etc/hosts", "/etc/zz/", "/a.file"});
    BOOST_TEST(c.names(1) == ". .. a.file data etc lib usr ");
    BOOST_TEST(c.names(c.id(1, "etc")) == ". .. hosts passwd zz ");
    const auto data = c.id(1, "data");
    BOOST_TEST(c.names(data) == ". .. deep ");
    const auto er = c.id(c.id(data, "deep"), "er");
    BOOST_TEST(c.names(er) == ". .. ");
    BOOST_TEST(c.attr(er).mode == (S_IFDIR | 0755u));
    BOOST_TEST(c.attr(er).nlink == 2u);
    BOOST_TEST(c.attr(data).nlink == 3u);
    const auto file = c.id(1, "a.file");
    BOOST_TEST(c.attr(file).mode == (S_IFREG | 0644u));
    BOOST_TEST(c.attr(file).size == 0u);
    BOOST_TEST(c.read(file, 0, 4096).error == 0);
    BOOST_TEST(c.read(file, 0, 4096).body.empty());
    BOOST_TEST(c.lookup(er, "none").as<fuse_entry_out>().nodeid == 0u);
    BOOST_TEST(c.readdir(file, 0, 4096, true).error == -ENOTDIR);
}

BOOST_AUTO_TEST_CASE(what_the_image_has_stays_as_it_is) {
    Image image;
    auto c = image.with({"/etc/", "/etc/passwd", "/usr", "/lib", "/etc/passwd/", "/"});
    BOOST_TEST(c.names(1) == ". .. etc lib usr ");
    BOOST_TEST(c.read(c.id(c.id(1, "etc"), "passwd"), 0, 100).body == "root");
}

BOOST_AUTO_TEST_CASE(a_place_below_a_link_or_a_file_or_with_two_dots_is_left_out) {
    Image image;
    auto c = image.with({"/lib/x/", "/etc/passwd/x", "/new/../x", "/../y/", "relative/z"});
    BOOST_TEST(c.names(1) == ". .. etc lib relative usr ");
    BOOST_TEST(c.names(c.id(1, "etc")) == ". .. passwd ");
}

BOOST_AUTO_TEST_CASE(the_same_place_twice_is_one_and_a_place_in_a_made_file_is_none) {
    Image image;
    auto c = image.with({"/m//a/./b/", "/m/a/b/", "/f", "/f/x", "/m/a/b"});
    BOOST_TEST(c.names(1) == ". .. etc f lib m usr ");
    BOOST_TEST(c.names(c.id(c.id(1, "m"), "a")) == ". .. b ");
    BOOST_TEST(c.attr(c.id(1, "f")).mode == (S_IFREG | 0644u));
}

BOOST_AUTO_TEST_CASE(links_to_a_directory_count_its_made_subdirectories) {
    Image image;
    const auto before = Client(image.root).attr(1).nlink;
    auto c = image.with({"/a/", "/b/", "/c"});
    BOOST_TEST(c.attr(1).nlink == before + 2);
}

BOOST_AUTO_TEST_CASE(inode_numbers_are_unique_and_the_same_in_listing_and_attributes) {
    Image image;
    auto c = image.with({"/a/", "/b/"});
    std::set<uint64_t> seen;
    for (const auto& e : c.list(1, 4096, true))
        if (e.id) {
            BOOST_TEST(seen.insert(e.ino).second);
            BOOST_TEST(c.attr(e.id).ino == e.ino);
        }
}

BOOST_AUTO_TEST_CASE(a_mixed_listing_goes_on_from_every_entry) {
    for (const uint64_t step : {1, 5, 1 << 20}) {
        Root root;
        root.cursor_step = step;
        std::set<std::string> all;
        std::vector<std::string> made;
        for (int i = 0; i < 60; ++i) {
            const std::string name = "n" + std::to_string(i * 37 % 101);
            if (!all.insert(name).second) continue;
            if (i % 3)
                root.add(root.root(), name, S_IFREG | 0644, "x");
            else
                made.push_back("/" + name + "/");
        }
        std::vector<const char*> places;
        for (const auto& m : made) places.push_back(m.c_str());
        places.push_back(nullptr);
        sg_mount_view view{};
        view.places = places.data();
        Client c(root, view);
        std::string expected = ". .. ";
        for (const auto& n : all) expected += n + " ";
        for (const uint32_t size : {40u, 64u, 100u, 200u, 4096u}) BOOST_TEST(c.names(1, size) == expected);
        BOOST_TEST(c.names(1, 200, true) == expected);
    }
}

BOOST_AUTO_TEST_CASE(a_cursor_too_large_to_carry_is_an_io_error_and_not_a_wrong_listing) {
    Image image;
    image.root.cursor_step = 1ull << 60;
    {
        auto c = image.with({});
        BOOST_TEST(c.names(1, 60) == ". .. etc lib usr ");
    }
    auto c = image.with({"/a/"});
    BOOST_TEST(c.readdir(1, 2, 4096, false).error == -EIO);
}

BOOST_AUTO_TEST_CASE(more_places_than_a_directory_can_show_are_left_out) {
    Image image;
    std::vector<std::string> many;
    for (int i = 0; i < 5000; ++i) many.push_back("/many/p" + std::to_string(i));
    std::vector<const char*> places;
    for (const auto& m : many) places.push_back(m.c_str());
    auto c = image.with(places);
    BOOST_TEST(c.list(c.id(1, "many"), 65536, false).size() == 2 + sg::Places::max_siblings);
}

BOOST_AUTO_TEST_SUITE_END()
