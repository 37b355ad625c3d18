#include <boost/test/unit_test.hpp>

#include "registries/server.hpp"

using registry_command::parse_address;

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
