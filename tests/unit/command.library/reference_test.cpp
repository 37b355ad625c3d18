#include "library/reference.hpp"

#include <boost/test/unit_test.hpp>
#include <singularity/error.hpp>

#include "library/client.hpp"

using library::LibraryReference;
using singularity::Code;
using singularity::Error;

namespace {

const std::string hash(64, 'a');

bool is_refused(const std::string& text) {
    try {
        LibraryReference::parse(text);
        return false;
    } catch (const Error& e) {
        return e.code() == Code::invalid;
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(one_or_three_parts_have_no_host) {
    const auto one = LibraryReference::parse("lolcow");
    BOOST_TEST(one.host == "");
    BOOST_TEST(one.image() == "lolcow:latest");
    BOOST_TEST(one.file_name() == "lolcow_latest.sif");
    const auto three = LibraryReference::parse("alice/my-tools/lol.cow:v1");
    BOOST_TEST(three.host == "");
    BOOST_TEST(three.image() == "alice/my-tools/lol.cow:v1");
    BOOST_TEST(three.file_name() == "lol.cow_v1.sif");
}

BOOST_AUTO_TEST_CASE(with_two_or_four_parts_the_first_is_the_host) {
    BOOST_TEST(LibraryReference::parse("hub.example.org/lolcow").host == "hub.example.org");
    const auto four = LibraryReference::parse("127.0.0.1:8080/alice/default/lolcow:v1,latest");
    BOOST_TEST(four.host == "127.0.0.1:8080");
    BOOST_TEST(four.container() == "alice/default/lolcow");
    BOOST_TEST(four.tags.size() == 2u);
    BOOST_CHECK_THROW(four.only_tag(), Error);
    BOOST_TEST(LibraryReference::parse("[::1]:8080/lolcow").host == "[::1]:8080");
}

BOOST_AUTO_TEST_CASE(a_third_slash_says_that_there_is_no_host) {
    const auto r = LibraryReference::parse("/alice/lolcow");
    BOOST_TEST(r.host == "");
    BOOST_TEST(r.container() == "alice/lolcow");
}

BOOST_AUTO_TEST_CASE(an_image_is_named_by_its_hash_too) {
    BOOST_TEST(LibraryReference::parse("lolcow:sha256." + hash).only_tag() == "sha256." + hash);
    BOOST_TEST(library::is_hash("sha256." + hash));
    BOOST_TEST(!library::is_hash("sha256." + hash + "a"));
    BOOST_TEST(!library::is_hash("sha256." + std::string(64, 'g')));
    BOOST_TEST(!library::is_hash("sha256:" + hash));
}

BOOST_AUTO_TEST_CASE(what_names_no_image_is_refused) {
    for (const char* bad :
         {"",    "/",     "//",      "a//b", "a/b/c/d/e", "/a/b/c/d", "A/b/c",  "a..b",          "a-",
          "-a",  "a b",   "a/../b",  "x:",   "x:a,",      "x:.a",     "x:a b",  "x?y",           "user@h/a/b/c",
          "x#y", "x:a:b", "a:1/b/c", "..",   "x\n",       ":latest",  "%2e%2e", "a/b/c:\xc3\xa9"})
        BOOST_TEST(is_refused(bad), bad);
    BOOST_TEST(is_refused(std::string(2000, 'a')));
    BOOST_TEST(is_refused("x:" + std::string(129, 'a')));
}

BOOST_AUTO_TEST_CASE(pushing_needs_all_three_parts) {
    BOOST_CHECK_THROW(LibraryReference::parse("lolcow").need_whole("push"), Error);
    LibraryReference::parse("a/b/c").need_whole("push");
}

BOOST_AUTO_TEST_CASE(a_record_of_an_image_is_read_strictly) {
    const auto good =
        library::read_image(R"({"id":"5f","hash":"sha256.x","size":5,"uploaded":true,"arch":"amd64","more":1})", "it");
    BOOST_TEST(good.uploaded);
    BOOST_TEST(good.size == 5u);
    BOOST_TEST(library::read_image(R"({"id":"5f","hash":"h","size":0})", "it").size == SG_SIZE_UNKNOWN);
    for (const char* bad :
         {"{}", "[]", R"({"id":5,"hash":"h"})", R"({"id":"../x","hash":"h"})", R"({"id":"","hash":"h"})",
          R"({"id":"a","hash":"a\nb"})", R"({"id":"a","hash":"h/../h"})", R"({"id":"a","hash":"h","size":-1})", R"({"id":"a","hash":"h","size":"5"})"})
        BOOST_CHECK_THROW(library::read_image(bad, "it"), Error);
}
