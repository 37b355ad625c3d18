#include <boost/test/unit_test.hpp>

#include "registries/challenge.hpp"
#include "registries/server.hpp"

using registry_command::parse_address;
using registry_command::read_challenges;

BOOST_AUTO_TEST_CASE(several_challenges_stand_in_one_header) {
    const auto all = read_challenges(R"(Negotiate, BEARER Realm="https://auth.example/t?x=1,2",service="a \"b\"" , scope=x:y, Basic realm=plain)");
    BOOST_REQUIRE(all.size() == 3u);
    BOOST_TEST(all[0].scheme == "negotiate");
    BOOST_TEST(all[1].scheme == "bearer");
    BOOST_TEST(all[1].parameter("realm") == "https://auth.example/t?x=1,2");
    BOOST_TEST(all[1].parameter("service") == "a \"b\"");
    BOOST_TEST(all[2].scheme == "basic");
    BOOST_TEST(all[2].parameter("realm") == "plain");
    BOOST_TEST(all[2].parameter("none") == "");
}

BOOST_AUTO_TEST_CASE(malformed_challenges_end_the_reading) {
    for (const char* bad : {"", ",,,", "=x", "\"", "realm=\"x\"", "\x01\x02"}) BOOST_TEST(read_challenges(bad).empty(), bad);
    BOOST_TEST(read_challenges("Bearer realm=\"never closed").size() == 1u);
    BOOST_TEST(read_challenges("Basic a=\\").size() == 1u);
    std::string many;
    for (int i = 0; i < 1000; ++i) many += "Basic x=\"y\", ";
    BOOST_TEST(read_challenges(many).size() == 16u);
}

BOOST_AUTO_TEST_CASE(a_registry_is_named_with_or_without_a_scheme) {
    BOOST_TEST(parse_address("docker://Host.example:5000/some/repo").key == "host.example:5000");
    BOOST_TEST(parse_address("oras://host").server == "host");
    BOOST_TEST(parse_address("[::1]:5000").server == "[::1]:5000");
    for (const char* hub : {"docker.io", "docker://docker.io", "docker://index.docker.io", "registry-1.docker.io/library/alpine"}) {
        BOOST_TEST(parse_address(hub).key == "https://index.docker.io/v1/");
        BOOST_TEST(parse_address(hub).server == "registry-1.docker.io");
    }
}

BOOST_AUTO_TEST_CASE(what_is_no_host_is_a_wrong_command_line) {
    for (const char* bad : {"", "docker://", "docker:///x", "a b", "user@host", "host?x", ":5000", "..", "host\n"})
        try {
            parse_address(bad);
            BOOST_ERROR(bad);
        } catch (const singularity::Error& e) {
            BOOST_TEST((e.code() == singularity::Code::usage));
        }
}
