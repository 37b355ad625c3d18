#include "credentials/server_key.hpp"

#include "scratch.hpp"

using namespace sg;

namespace {
size_t covers(const char* key, const char* server) {
    const auto k = ServerKey::of_key(key);
    return k ? k->covers(ServerKey::of_server(server)) : 0;
}
}  // namespace

BOOST_AUTO_TEST_CASE(every_form_of_a_key_means_its_host) {
    for (const char* key : {"host:5000", "https://host:5000", "http://host:5000/", "https://host:5000/v1/", "https://host:5000/v2/", "host:5000/v1/", "HOST:5000"})
        BOOST_TEST(covers(key, "host:5000/ns/repo") == 1u, key);
    for (const char* key : {"host", "host:5001", "nhost:5000", "host:5000.evil.org", "", "/", "https://", "ho st:5000"}) BOOST_TEST(covers(key, "host:5000") == 0u, key);
}

BOOST_AUTO_TEST_CASE(the_hub_has_one_key_under_all_its_names) {
    for (const char* key : {"https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"})
        for (const char* server : {"docker.io", "https://index.docker.io/v1/", "registry-1.docker.io", "docker.io/library/alpine", "https://index.docker.io/v1/library/alpine"})
            BOOST_TEST(covers(key, server) == 1u, key << " " << server);
    BOOST_TEST(ServerKey::of_server("docker.io").text() == "https://index.docker.io/v1/");
    BOOST_TEST(ServerKey::of_server("registry-1.docker.io").address() == "https://index.docker.io/v1/");
}

BOOST_AUTO_TEST_CASE(a_namespace_covers_what_is_below_it_and_not_its_namesakes) {
    BOOST_TEST(covers("host/ns", "host/ns/repo") == 2u);
    BOOST_TEST(covers("host/ns/repo", "host/ns/repo") == 3u);
    BOOST_TEST(covers("docker.io/ns", "https://index.docker.io/v1/ns/repo") == 2u);
    BOOST_TEST(covers("host/ns", "host") == 0u);
    BOOST_TEST(covers("host/n", "host/ns/repo") == 0u);
    BOOST_TEST(covers("host/ns/repo", "host/ns/other") == 0u);
    BOOST_TEST(ServerKey::of_server("host:5000/ns").text() == "host:5000/ns");
    BOOST_TEST(ServerKey::of_server("host:5000/ns").address() == "host:5000");
}

BOOST_AUTO_TEST_CASE(a_server_without_a_name_is_refused) {
    for (const char* server : {"", "/", "https:///v1/", "a b", "host\n"}) BOOST_CHECK_THROW(ServerKey::of_server(server), Error);
}
