#include "store/cleaning.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <set>

#include "store/blob_store.hpp"
#include "store/image_cache.hpp"
#include "store/inventory.hpp"
#include "store/layout_index.hpp"
#include "store/output.hpp"
#include "store/records.hpp"
#include "store/sha256.hpp"

namespace {

namespace fs = std::filesystem;

const std::vector<std::string> areas = {"area", "other"};

struct Cache {
    std::string path, root;
    Cache() {
        char name[] = "/tmp/sg-clean-XXXXXX";
        path = mkdtemp(name);
        root = path + "/cache";
        sg::BlobStore(root, {}).prepare();
    }
    ~Cache() { sg::remove_tree(path); }

    static void age(const std::string& file, int days) {
        const timespec then{time(nullptr) - days * 86400, 0};
        const timespec times[2] = {then, then};
        utimensat(AT_FDCWD, file.c_str(), times, 0);
    }
    std::string image(const std::string& area, char key, const std::string& name, size_t size, int days) {
        const sg::ImageCache cache(root);
        const std::string at = cache.place(area, "sha256:" + std::string(64, key), name);
        std::ofstream(at) << std::string(size, 'x');
        cache.stored(at);
        age(at, days);
        return at;
    }
    sg::Digest blob(const std::string& text, int days) {
        const auto digest = sg::Digest::parse("sha256:" + sg::sha256_hex(text), "test");
        const sg::BlobStore store(root, {});
        store.keep(text, digest);
        age(*store.find(digest), days);
        return digest;
    }
    // An image of the layout with these layers; gives its name.
    std::string listed(const std::vector<std::string>& layers, int days) {
        const auto config = blob("{\"n\":" + std::to_string(++number) + "}", days);
        std::string manifest = "{\"schemaVersion\":2,\"config\":{\"digest\":\"" + config.text() + "\"},\"layers\":[";
        for (size_t i = 0; i < layers.size(); ++i) manifest += (i ? ",{" : "{") + std::string("\"digest\":\"") + blob(layers[i], days).text() + "\"}";
        manifest += "]}";
        const auto digest = blob(manifest, days);
        const std::string name = sg::sha256_hex(manifest);
        sg::LayoutIndex(root).add({name, digest.text(), manifest.size(), "amd64", "linux", ""});
        return name;
    }
    bool has_blob(const std::string& text) const { return sg::BlobStore(root, {}).find(sg::Digest::parse("sha256:" + sg::sha256_hex(text), "t")).has_value(); }
    bool lists(const std::string& name) const {
        return sg::Records(root).read_file(root + "/oci/index.json").value_or("").find(name) != std::string::npos;
    }
    std::set<std::string> clean(const sg::CleanWish& wish, bool dry = false) {
        std::set<std::string> out;
        sg::clean_cache(root, wish, dry, [&](const std::string& p) { out.insert(p); });
        return out;
    }
    int number = 0;
};

sg::CleanWish wish() {
    sg::CleanWish w;
    w.areas = areas;
    return w;
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_inventory_has_images_of_both_forms_and_blobs) {
    Cache c;
    c.image("area", 'a', "a_1.sif", 10, 0);
    std::ofstream(c.root + "/area/" + std::string(64, 'b')) << "file form";
    fs::create_symlink("/etc/passwd", c.root + "/area/" + std::string(64, 'c'));
    std::ofstream(c.root + "/area/README") << "not an entry";
    c.blob("layer", 0);
    const auto all = sg::take_inventory(c.root, areas);
    BOOST_REQUIRE_EQUAL(all.images.size(), 2u);
    BOOST_CHECK_EQUAL(all.images[0].name, "a_1.sif");
    BOOST_CHECK_EQUAL(all.image_bytes(), 19u);
    BOOST_REQUIRE_EQUAL(all.blobs.size(), 1u);
    BOOST_CHECK_EQUAL(all.blob_bytes(), 5u);
    BOOST_CHECK((sg::areas_in(c.root) == std::vector<std::string>{"area"}));
}

BOOST_AUTO_TEST_CASE(garbage_where_the_cache_keeps_its_own_things_is_no_image) {
    Cache c;
    c.image("area", 'a', "a_1.sif", 10, 1);
    for (const char* own : {"records", "leases", "tmp", "index"}) {
        fs::create_directories(c.root + "/" + own + "/" + std::string(64, 'b'));
        std::ofstream(c.root + "/" + own + "/" + std::string(64, 'c')) << "garbage";
    }
    BOOST_CHECK((sg::areas_in(c.root) == std::vector<std::string>{"area"}));
    c.image("of-a-plugin-that-is-gone", 'd', "d_1.sif", 10, 1);
    BOOST_CHECK((sg::areas_in(c.root) == std::vector<std::string>{"area", "of-a-plugin-that-is-gone"}));
}

BOOST_AUTO_TEST_CASE(an_unpacked_image_counts_and_goes_as_a_whole) {
    Cache c;
    const std::string tree = c.root + "/area/" + std::string(64, 'a') + "/rootfs";
    fs::create_directories(tree + "/.hidden");
    std::ofstream(tree + "/.hidden/file") << std::string(1000, 'x');
    std::ofstream(tree + "/file") << std::string(24, 'x');
    fs::create_directory_symlink("/usr", tree + "/link");  // what it leads to is not counted
    const auto inventory = sg::take_inventory(c.root, areas);
    BOOST_REQUIRE(inventory.images.size() == 1u);
    BOOST_TEST(inventory.images[0].size == 1024u);
    BOOST_TEST(inventory.images[0].directory);
    sg::CleanWish wish{areas, false, std::nullopt, {}, 1000};
    BOOST_TEST(c.clean(wish).count(tree) == 1u);
    BOOST_TEST(!fs::exists(tree));
}

BOOST_AUTO_TEST_CASE(converted_layers_are_counted_and_go_before_what_was_fetched) {
    Cache c;
    const auto unused = c.image("segment", 'a', "one", 1000, 40), used = c.image("segment", 'b', "two", 1000, 1);
    const auto image = c.image("area", 'c', "a_1.sif", 1000, 50);
    c.listed({std::string(1000, 'l')}, 50);
    const auto inventory = sg::take_inventory(c.root, areas);
    BOOST_REQUIRE_EQUAL(inventory.segments.size(), 2u);
    BOOST_CHECK_EQUAL(inventory.segment_bytes(), 2000u);
    BOOST_CHECK((sg::areas_in(c.root) == std::vector<std::string>{"area"}));
    auto w = wish();
    w.segments = false;
    BOOST_CHECK(c.clean(w, true).count(unused) == 0);
    w.segments = true;
    w.most_bytes = 3500;
    BOOST_CHECK(c.clean(w) == std::set<std::string>{unused});
    w.most_bytes = 2500;
    BOOST_CHECK(c.clean(w) == std::set<std::string>{used});
    BOOST_CHECK(fs::exists(image) && c.has_blob(std::string(1000, 'l')));
    w = wish();
    const auto old = c.image("segment", 'd', "three", 10, 9), young = c.image("segment", 'e', "four", 10, 0);
    w.areas = {}, w.blobs = false, w.older_than = 3;
    BOOST_CHECK(c.clean(w) == std::set<std::string>{old});
    BOOST_CHECK(fs::exists(young));
}

BOOST_AUTO_TEST_CASE(a_dry_run_tells_and_removes_nothing) {
    Cache c;
    const auto image = c.image("area", 'a', "a_1.sif", 10, 5);
    c.listed({"layer"}, 5);
    BOOST_CHECK(c.clean(wish(), true).count(image));
    BOOST_CHECK(fs::exists(image));
    BOOST_CHECK(c.has_blob("layer"));
}

BOOST_AUTO_TEST_CASE(by_age_a_layer_stays_that_a_younger_image_needs) {
    Cache c;
    const auto old = c.image("area", 'a', "old_1.sif", 10, 40), young = c.image("area", 'b', "young_1.sif", 10, 1);
    const auto old_name = c.listed({"shared", "only old"}, 40);
    const auto young_name = c.listed({"shared", "only young"}, 1);
    auto w = wish();
    w.older_than = 30;
    c.clean(w);
    BOOST_CHECK(!fs::exists(old));
    BOOST_CHECK(!fs::exists(fs::path(old).parent_path()));
    BOOST_CHECK(fs::exists(young));
    BOOST_CHECK(!c.lists(old_name));
    BOOST_CHECK(c.lists(young_name));
    BOOST_CHECK(c.has_blob("shared"));
    BOOST_CHECK(c.has_blob("only young"));
    BOOST_CHECK(!c.has_blob("only old"));
}

BOOST_AUTO_TEST_CASE(layers_of_an_image_on_its_way_stay) {
    Cache c;
    c.blob("on its way", 0);
    auto w = wish();
    w.older_than = 0;
    c.listed({"listed"}, 1);
    c.clean(w);
    BOOST_CHECK(c.has_blob("on its way"));
    BOOST_CHECK(!c.has_blob("listed"));
}

BOOST_AUTO_TEST_CASE(by_name_only_that_goes) {
    Cache c;
    const auto a = c.image("area", 'a', "a_1.sif", 10, 5), b = c.image("other", 'b', "b_1.sif", 10, 5);
    const auto name = c.listed({"layer"}, 5);
    auto w = wish();
    w.names = {"a_1.sif"};
    c.clean(w);
    BOOST_CHECK(!fs::exists(a));
    BOOST_CHECK(fs::exists(b));
    BOOST_CHECK(c.has_blob("layer"));
    w.names = {name};
    c.clean(w);
    BOOST_CHECK(!c.has_blob("layer"));
    BOOST_CHECK(!c.lists(name));
}

BOOST_AUTO_TEST_CASE(by_size_the_least_recently_used_go_layers_first) {
    Cache c;
    const auto old = c.image("area", 'a', "old_1.sif", 1000, 9), young = c.image("area", 'b', "young_1.sif", 1000, 1);
    c.listed({std::string(5000, 'l')}, 3);
    auto w = wish();
    w.most_bytes = 2500;
    c.clean(w);
    BOOST_CHECK(fs::exists(old));
    BOOST_CHECK(!c.has_blob(std::string(5000, 'l')));
    w.most_bytes = 1500;
    c.clean(w);
    BOOST_CHECK(!fs::exists(old));
    BOOST_CHECK(fs::exists(young));
    w.most_bytes = 0;
    c.clean(w);
    BOOST_CHECK(!fs::exists(young));
}

BOOST_AUTO_TEST_CASE(a_layout_that_makes_no_sense_can_be_cleaned) {
    Cache c;
    std::ofstream(c.root + "/oci/index.json") << "<html>";
    c.blob("layer", 5);
    c.clean(wish());
    BOOST_CHECK(!c.has_blob("layer"));
}

BOOST_AUTO_TEST_CASE(what_is_known_of_image_files_is_forgotten_and_links_in_its_place_are_not_followed) {
    Cache c;
    fs::create_directories(c.root + "/digests");
    std::ofstream(c.root + "/digests/0123456789abcdef") << "digest 1";
    fs::create_directories(c.root + "/elsewhere");
    std::ofstream(c.root + "/elsewhere/mine") << "x";
    fs::create_symlink(c.root + "/elsewhere", c.root + "/signers");
    sg::forget_images(c.root);
    BOOST_TEST(!fs::exists(c.root + "/digests"));
    BOOST_TEST(!fs::exists(fs::symlink_status(c.root + "/signers")));
    BOOST_TEST(fs::exists(c.root + "/elsewhere/mine"));
    sg::forget_images(c.root);  // nothing is there
}
