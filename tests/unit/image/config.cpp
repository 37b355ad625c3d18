// What an image's config document may look like, and what is refused.
#include "image/config.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/error.hpp"

namespace {

const std::string id_a = "sha256:" + std::string(64, 'a');

sg::ImageConfig parse(const std::string& text) { return sg::parse_image_config(text, "config of X"); }

void refused(const std::string& text, sg::Code code, const std::string& part) {
    try {
        parse(text);
        BOOST_ERROR("not refused: " << text.substr(0, 80));
    } catch (const sg::Error& e) {
        BOOST_TEST_MESSAGE(e.message());
        BOOST_TEST(static_cast<int>(e.code()) == static_cast<int>(code));
        BOOST_TEST(e.message().find(part) != std::string::npos, e.message() << " lacks " << part);
        BOOST_TEST(e.message().find("config of X") == 0u);
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(image_config)

BOOST_AUTO_TEST_CASE(a_full_config_is_read) {
    const auto c = parse(R"({"created":"2024-05-01T12:00:00Z","architecture":"arm","os":"linux","variant":"v7",
        "config":{"User":"1000:1000","Env":["PATH=/bin","A=b=c"],"Entrypoint":["/e","x y"],"Cmd":["c"],"WorkingDir":"/w",
        "Labels":{"z":"1","a":"2"},"ExposedPorts":{"80/tcp":{}}},
        "rootfs":{"type":"layers","diff_ids":[")" +
                         id_a + R"("]},"history":[{"empty_layer":true}]})");
    BOOST_TEST(c.created == "2024-05-01T12:00:00Z");
    BOOST_TEST(c.architecture == "arm");
    BOOST_TEST(c.variant == "v7");
    BOOST_TEST(c.user == "1000:1000");
    BOOST_TEST(c.workdir == "/w");
    BOOST_TEST(c.env == (std::vector<std::string>{"PATH=/bin", "A=b=c"}), boost::test_tools::per_element());
    BOOST_TEST(c.entrypoint == (std::vector<std::string>{"/e", "x y"}), boost::test_tools::per_element());
    BOOST_TEST(c.cmd == (std::vector<std::string>{"c"}), boost::test_tools::per_element());
    BOOST_TEST(c.diff_ids == (std::vector<std::string>{id_a}), boost::test_tools::per_element());
    BOOST_REQUIRE(c.labels.size() == 2u);
    BOOST_TEST(c.labels[0].first == "a");
    BOOST_TEST(c.config.find("\"ExposedPorts\":{\"80/tcp\":{}}") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(null_and_absent_members_are_the_same) {
    const auto c =
        parse(R"({"config":{"Env":null,"Entrypoint":null,"Cmd":null,"Labels":null,"User":null},"rootfs":null})");
    BOOST_TEST(c.env.empty());
    BOOST_TEST(!c.has_entrypoint);
    BOOST_TEST(!c.has_cmd);
    BOOST_TEST(c.diff_ids.empty());
    BOOST_TEST(parse("{}").config == "{}");
    BOOST_TEST(parse(R"({"config":null})").config == "{}");
}

BOOST_AUTO_TEST_CASE(an_entrypoint_that_is_a_string_is_one_word) {
    const auto c = parse(R"({"config":{"Entrypoint":"/bin/sh -c","Cmd":""}})");
    BOOST_TEST(c.entrypoint == (std::vector<std::string>{"/bin/sh -c"}), boost::test_tools::per_element());
    BOOST_TEST(c.has_cmd);
    BOOST_TEST(c.cmd.empty());
}

BOOST_AUTO_TEST_CASE(an_empty_entrypoint_is_there) {
    const auto c = parse(R"({"config":{"Entrypoint":[]}})");
    BOOST_TEST(c.has_entrypoint);
    BOOST_TEST(c.entrypoint.empty());
}

BOOST_AUTO_TEST_CASE(wrong_types_are_refused_with_their_place) {
    using sg::Code;
    refused(R"({"config":{"Env":"A=b"}})", Code::invalid, "config.Env is not a list");
    refused(R"({"config":{"Env":["A=b",7]}})", Code::invalid, "config.Env[1] is not a string");
    refused(R"({"config":{"Entrypoint":{"a":1}}})", Code::invalid, "config.Entrypoint");
    refused(R"({"config":[1]})", Code::invalid, "config is not an object");
    refused(R"({"architecture":1})", Code::invalid, "architecture is not a string");
    refused(R"({"config":{"Labels":["a"]}})", Code::invalid, "config.Labels is not an object");
    refused(R"({"config":{"Labels":{"a":true}}})", Code::invalid, "config.Labels.a is not a string");
    refused(R"({"rootfs":{"type":"windows"}})", Code::invalid, "rootfs");
    refused(R"([1])", Code::invalid, "is not an object");
    refused(R"("text")", Code::invalid, "is not an object");
    refused(R"({"config":{"User":"a\u0000b"}})", Code::invalid, "NUL");
    refused(R"({"os":"linux","os":"windows"})", Code::invalid, "twice");
}

BOOST_AUTO_TEST_CASE(diff_ids_must_be_digests) {
    refused(R"({"rootfs":{"diff_ids":["sha256:../../etc/passwd"]}})", sg::Code::invalid,
            "is not a sha256 or sha512 digest");
    refused(R"({"rootfs":{"diff_ids":["sha256:)" + std::string(64, 'A') + R"("]}})", sg::Code::invalid, "digest");
    refused(R"({"rootfs":{"diff_ids":[""]}})", sg::Code::invalid, "digest");
}

BOOST_AUTO_TEST_CASE(damaged_and_oversized_documents_are_refused) {
    using sg::Code;
    refused("", Code::corrupt, "is empty");
    refused(" \n\t ", Code::corrupt, "is empty");
    refused("{", Code::corrupt, "is not JSON");
    refused("{} x", Code::corrupt, "is not JSON");
    refused("\x1f\x8b\x08", Code::corrupt, "is not JSON");
    refused("{\"a\":\"\xff\xfe\"}", Code::corrupt, "is not JSON");
    refused("{\"a\":1e999}", Code::corrupt, "is not JSON");
    refused(std::string(1000000, '['), Code::limit, "nested deeper than 64");
    refused("{\"a\":\"" + std::string(4 << 20, 'x') + "\"}", Code::limit, "larger than the limit of 4194304");
    // Brackets inside a text are no nesting.
    BOOST_TEST(parse("{\"author\":\"" + std::string(500, '[') + "\"}").os.empty());
    BOOST_TEST(parse("{\"author\":\"\\\"" + std::string(500, '{') + "\"}").os.empty());
}

BOOST_AUTO_TEST_CASE(configs_of_other_projects_are_read) {
    const char* data = std::getenv("SINGULARITY_TEST_DATA");
    if (!data || !*data || !std::filesystem::is_directory(data)) {
        BOOST_TEST_MESSAGE("skipped: SINGULARITY_TEST_DATA names no directory");
        return;
    }
    int read = 0;
    for (const auto& f : std::filesystem::recursive_directory_iterator(std::string(data) + "/manifests")) {
        const std::string name = f.path().filename().string();
        if (name.find("config.json") == std::string::npos || name.find("-for-oci") != std::string::npos) continue;
        std::ifstream in(f.path());
        const auto c = parse({std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()});
        BOOST_TEST(!c.diff_ids.empty(), name);
        BOOST_TEST(c.os == "linux", name);
        ++read;
    }
    BOOST_TEST(read >= 5);
}

BOOST_AUTO_TEST_SUITE_END()
