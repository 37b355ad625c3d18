#include "reference.hpp"

#include <boost/test/unit_test.hpp>
#include <singularity/error.hpp>

using shub::HubReference;
using shub::parse_hub_reference;

BOOST_AUTO_TEST_CASE(the_hub_and_the_tag_latest_are_meant_when_nothing_is_said) {
    const HubReference r = parse_hub_reference("vsoch/hello-world");
    BOOST_TEST(r.registry == "singularity-hub.org");
    BOOST_TEST(r.name() == "vsoch/hello-world:latest");
    BOOST_TEST(r.file_name() == "hello-world_latest.sif");
    BOOST_TEST(!r.is_local());
}

BOOST_AUTO_TEST_CASE(registry_tag_and_digest_are_read) {
    const std::string md5(32, 'a'), commit(40, 'b');
    HubReference r = parse_hub_reference("hub.example.org:8443/sub/lab/tool.x:1_0@" + md5);
    BOOST_TEST(r.registry == "hub.example.org:8443/sub");
    BOOST_TEST(r.name() == "lab/tool.x:1_0@" + md5);
    r = parse_hub_reference("lab/tool@" + commit);
    BOOST_TEST(r.name() == "lab/tool@" + commit);
    BOOST_TEST(r.file_name() == "tool_" + commit + ".sif");
}

BOOST_AUTO_TEST_CASE(only_names_of_this_machine_are_local) {
    for (const char* local : {"localhost/a/b", "localhost:80/a/b", "127.0.0.1:80/a/b", "[::1]:80/a/b", "x.localhost/a/b"}) BOOST_TEST(parse_hub_reference(local).is_local(), local);
    for (const char* other : {"a/b", "localhost.evil.org/a/b", "10.0.0.1/a/b", "notlocalhost/a/b"}) BOOST_TEST(!parse_hub_reference(other).is_local(), other);
}

BOOST_AUTO_TEST_CASE(what_is_no_hubs_image_is_refused) {
    for (const std::string& bad : {std::string(), std::string("tool"), std::string("/tool"), std::string("lab/"), std::string("lab/tool:"), std::string("lab/to ol"),
                                   std::string("l_b/tool"), std::string("lab/tool@123"), "lab/tool@" + std::string(40, 'g'), std::string("../lab/tool"),
                                   std::string("//lab/tool"), std::string("h/../x/lab/tool"), "lab/" + std::string(65, 'x'), std::string(40, 'x') + "/tool",
                                   std::string("user@host/lab/tool")})
        BOOST_CHECK_THROW(parse_hub_reference(bad), singularity::Error);
}
