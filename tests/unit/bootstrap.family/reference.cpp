#include "family/reference.hpp"

#include "family/layout.hpp"
#include "family/naming.hpp"
#include "source_fixture.hpp"

using namespace sources;
using fixture::contains;
using fixture::error_of;

BOOST_AUTO_TEST_SUITE(references)

BOOST_AUTO_TEST_CASE(names_are_completed_as_docker_does) {
    const std::string digest = "sha256:" + std::string(64, 'a');
    for (const auto& [given, full] : std::vector<std::pair<std::string, std::string>>{
             {"lolcow", "docker.io/library/lolcow:latest"},
             {"godlovedc/lolcow", "docker.io/godlovedc/lolcow:latest"},
             {"index.docker.io/godlovedc/lolcow:1", "docker.io/godlovedc/lolcow:1"},
             {"docker.io/lolcow", "docker.io/library/lolcow:latest"},
             {"localhost/x", "localhost/x:latest"},
             {"localhost:5000/x:y", "localhost:5000/x:y"},
             {"Host/x", "Host/x:latest"},
             {"[fe80::1]:5000/x", "[fe80::1]:5000/x:latest"},
             {"a/b/c/d:T_1.2-3", "docker.io/a/b/c/d:T_1.2-3"},
             {"a__b/c--d", "docker.io/a__b/c--d:latest"},
             {"x:1@" + digest, "docker.io/library/x@" + digest},
             {"example.com", "docker.io/library/example.com:latest"}})
        BOOST_TEST(parse_image_reference(given).text() == full, given);
}

BOOST_AUTO_TEST_CASE(what_is_no_reference_is_refused) {
    for (const std::string& bad : {std::string(),
                                   std::string("Upper"),
                                   std::string("a/B"),
                                   std::string(":tag"),
                                   std::string("x:"),
                                   std::string("x:-a"),
                                   std::string("x:") + std::string(129, 'a'),
                                   std::string("x@sha256:ab"),
                                   std::string("a..b"),
                                   std::string("a___b"),
                                   std::string("-a"),
                                   std::string("a-"),
                                   std::string("a//b"),
                                   std::string("/a"),
                                   std::string("a/"),
                                   std::string(64, 'a'),
                                   std::string("host:port/x"),
                                   std::string("host:/x"),
                                   std::string("-h.com/x"),
                                   std::string("h..com/x"),
                                   std::string(256, 'a'),
                                   std::string("a b"),
                                   std::string("a\nb"),
                                   std::string("../x"),
                                   std::string("h.com./x"),
                                   std::string("[::1/x"),
                                   std::string("[]:1/x")})
        BOOST_CHECK_THROW(parse_image_reference(bad), Error);
    BOOST_TEST(contains(error_of([] { parse_image_reference("a/B"); }).message(), "repository name must be lowercase"));
}

BOOST_AUTO_TEST_CASE(a_path_ends_at_the_first_colon) {
    const std::string digest = "sha256:" + std::string(64, 'a');
    const auto split = [](const std::string& r) {
        const PathAndRef s = split_path_and_ref(r, "/here");
        return s.path + "|" + s.ref;
    };
    BOOST_TEST(split("dir") == "/here/dir|");
    BOOST_TEST(split("/abs/dir:tag") == "/abs/dir|tag");
    BOOST_TEST(split("dir:") == "/here/dir|");
    BOOST_TEST(split("dir:host:5000/x:tag") == "/here/dir|host:5000/x:tag");
    BOOST_TEST(split("dir:@2") == "/here/dir|@2");
    BOOST_TEST(split("dir@2") == "/here/dir|@2");
    BOOST_TEST(split("dir@" + digest) == "/here/dir|@" + digest);
    BOOST_TEST(split("dir:@" + digest) == "/here/dir|@" + digest);
    BOOST_TEST(split("dir@x:y") == "/here/dir@x|y");
    BOOST_CHECK_THROW(split_path_and_ref("", "/here"), Error);
    BOOST_CHECK_THROW(split_path_and_ref(":x", "/here"), Error);
    BOOST_CHECK_THROW(split_path_and_ref("@1", "/here"), Error);
    // A directory may be called so.
    const fixture::Scratch dir;
    dir.write("x@1/f", "");
    BOOST_TEST(split_path_and_ref("x@1", dir.path()).path == dir.path() + "/x@1");
}

BOOST_AUTO_TEST_CASE(default_file_names_say_name_and_tag) {
    BOOST_TEST(default_file_name("/a/lolcow.oci", "latest") == "lolcow_latest.sif");
    BOOST_TEST(default_file_name("lolcow.tar.gz", "") == "lolcow_latest.sif");
    BOOST_TEST(default_file_name("lolcow.oci.tar", "v1") == "lolcow_v1.sif");
    BOOST_TEST(default_file_name("dir/", "host:5000/lab/lolcow:2.0") == "lolcow_2.0.sif");
    BOOST_TEST(default_file_name("dir", "lab/lolcow") == "lolcow_latest.sif");
    BOOST_TEST(default_file_name("dir", "lolcow:2") == "lolcow_2.sif");
    BOOST_TEST(default_file_name("dir", "@3") == "dir_latest.sif");
    BOOST_TEST(default_file_name("dir", "sha256:" + std::string(64, 'a')) == "dir_latest.sif");
    BOOST_TEST(default_file_name("..", "..") == "image_latest.sif");
    BOOST_TEST(default_file_name("/x/a b", "t;rm") == "a_b_t_rm.sif");
    BOOST_TEST(default_file_name(std::string(300, 'a'), std::string(300, 'b')).size() < 255u);
}

BOOST_AUTO_TEST_SUITE_END()
