#include "store/image_cache.hpp"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "base/error.hpp"
#include "store/output.hpp"

namespace {

const std::string kKey = "sha256:" + std::string(64, 'a');

struct Cache {
    std::string path;
    sg::ImageCache cache{""};
    Cache() {
        char name[] = "/tmp/sg-cache-XXXXXX";
        path = mkdtemp(name);
        cache = sg::ImageCache(path + "/deep/cache");
    }
    ~Cache() { sg::remove_tree(path); }
    std::string store(const std::string& text) {
        const std::string at = cache.place("area", kKey, "x_1.img");
        sg::OutputFile out(at);
        if (write(out.fd(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) throw std::runtime_error(at);
        out.commit();
        cache.stored(at);
        return at;
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(an_entry_is_found_under_the_hex_of_its_digest) {
    Cache c;
    const std::string at = c.store("image");
    BOOST_CHECK_EQUAL(at, c.path + "/deep/cache/area/" + std::string(64, 'a') + "/x_1.img");
    BOOST_CHECK(c.cache.find("area", kKey, "x_1.img") == at);
}

BOOST_AUTO_TEST_CASE(nothing_is_found_in_an_empty_cache_or_without_one) {
    Cache c;
    BOOST_CHECK(!c.cache.find("area", kKey, "x"));
    BOOST_CHECK(!sg::ImageCache("").find("area", kKey, "x"));
}

BOOST_AUTO_TEST_CASE(an_entry_that_two_store_at_once_is_as_it_was_stored) {
    Cache c;
    for (int round = 0; round < 40; ++round) {
        std::thread other([&] { c.store("image"); });
        c.store("image");
        other.join();
        BOOST_TEST_REQUIRE(c.cache.find("area", kKey, "x_1.img").has_value());
    }
}

BOOST_AUTO_TEST_CASE(an_entry_that_was_changed_is_not_used) {
    Cache c;
    const std::string at = c.store("image");
    std::ofstream(at, std::ios::app) << "!";
    BOOST_CHECK(!c.cache.find("area", kKey, "x_1.img"));
}

BOOST_AUTO_TEST_CASE(an_entry_without_a_stamp_is_not_used) {
    Cache c;
    const std::string at = c.cache.place("area", kKey, "x_1.img");
    std::ofstream(at) << "image";
    BOOST_CHECK(!c.cache.find("area", kKey, "x_1.img"));
}

BOOST_AUTO_TEST_CASE(the_cache_is_private) {
    Cache c;
    c.store("image");
    struct stat st;
    BOOST_REQUIRE_EQUAL(stat((c.path + "/deep/cache").c_str(), &st), 0);
    BOOST_CHECK_EQUAL(st.st_mode & 077, 0u);
}

BOOST_AUTO_TEST_CASE(names_that_climb_are_refused) {
    Cache c;
    BOOST_CHECK_THROW(c.cache.place("..", kKey, "x"), sg::Error);
    BOOST_CHECK_THROW(c.cache.place("area", kKey, "../x"), sg::Error);
    BOOST_CHECK_THROW(c.cache.find("a/b", kKey, "x"), sg::Error);
}

BOOST_AUTO_TEST_CASE(a_key_that_is_no_digest_is_hashed) {
    Cache c;
    const std::string at = c.cache.place("area", "../../etc", "x");
    BOOST_CHECK_EQUAL(at.find(".."), std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_note_is_kept_beside_an_entry_as_long_as_that_is_as_it_was) {
    Cache c;
    const std::string at = c.store("image");
    BOOST_CHECK_EQUAL(c.cache.note_of(at), "");
    const std::string note = "of a\n" + std::string(10000, 'x') + "\n";
    c.cache.stored(at, note);
    BOOST_CHECK_EQUAL(c.cache.note_of(at), note);
    BOOST_CHECK(c.cache.find("area", kKey, "x_1.img") == at);
    std::ofstream(at, std::ios::app) << "more";
    BOOST_CHECK_EQUAL(c.cache.note_of(at), "");
}
