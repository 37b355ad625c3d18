#include <boost/test/unit_test.hpp>
#include <singularity/json.hpp>

#include "remote-build/builder.hpp"

using namespace remote_build;

BOOST_AUTO_TEST_CASE(a_request_holds_what_was_given_and_no_more) {
    BuildRequest r{"QUJD", "", "", "amd64", "", ""};
    BOOST_TEST(json_of(r) == R"({"definitionRaw":"QUJD","libraryRef":"","builderRequirements":{"arch":"amd64"}})");
    r = {"QUJD", "library://a/b/c:\"x\"", "https://l", "arm64", "sha256.00", "/home/m\xc3\xbc ller"};
    const std::string text = json_of(r);
    const singularity::json::Document document(text, "it");
    BOOST_TEST(document.root()["libraryRef"].text() == r.library_ref);
    BOOST_TEST(document.root()["libraryURL"].text() == "https://l");
    BOOST_TEST(document.root()["contextDigest"].text() == "sha256.00");
    BOOST_TEST(document.root()["workingDir"].text() == r.directory);
}

BOOST_AUTO_TEST_CASE(answers_are_read_as_old_and_new_builders_send_them) {
    const BuildInfo info = build_info(R"({"id":"5f0e1c2d3b4a596877665544","isComplete":true,"imageSize":123,"imageChecksum":"sha256.ab","libraryRef":"library://a/b/c:t",
        "libraryURL":"https://l","wsURL":"wss://x/","definition":{"raw":null},"submitTime":"now"})",
                                      "https://b");
    BOOST_TEST(info.id == "5f0e1c2d3b4a596877665544");
    BOOST_TEST(info.complete);
    BOOST_TEST(info.size == 123u);
    BOOST_TEST(info.checksum == "sha256.ab");
    BOOST_TEST(info.library_ref == "library://a/b/c:t");
    BOOST_TEST(info.library_url == "https://l");
    const BuildInfo bare = build_info(R"({"id":"a","isComplete":false,"imageSize":-5})", "https://b");
    BOOST_TEST(!bare.complete);
    BOOST_TEST(bare.size == 0u);
}

BOOST_AUTO_TEST_CASE(a_page_of_a_build_is_shown_when_it_is_the_builders_own) {
    const auto page = [](const std::string& url) {
        return build_info(R"({"id":"a","webURL":")" + url + R"("})", "https://b.example.org/base").page;
    };
    BOOST_TEST(page("https://b.example.org/build/a") == "https://b.example.org/build/a");
    for (const char* other :
         {"", "https://c.example.org/build/a", "http://b.example.org/build/a", "javascript:alert(1)",
          "https://b.example.org/ and more", "https://b.example.org/\\u001b[2J"})
        BOOST_TEST(page(other) == "", other);
}

BOOST_AUTO_TEST_CASE(answers_that_are_none_are_refused) {
    for (const std::string text : {"", "null", "[]", "{}", R"({"id":""})", R"({"id":"../x"})", R"({"id":"a/b"})", R"({"id":"a?b"})", R"({"id":7})", R"({"id":"a","imageSize":"1"})",
                                   R"({"id":"a","isComplete":1})", R"({"id":"a","libraryRef":[]})"}) {
        try {
            build_info(text, "https://b");
            BOOST_ERROR("taken: " + text);
        } catch (const Error& e) {
            BOOST_TEST(e.message().find("https://b") != std::string::npos, e.message());
        }
    }
    BOOST_CHECK_THROW(build_info(R"({"id":")" + std::string(500, 'a') + R"("})", "b"), Error);
}
