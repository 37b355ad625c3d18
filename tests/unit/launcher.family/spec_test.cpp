#include "family/spec.hpp"

#include <boost/test/unit_test.hpp>

#include "family/system.hpp"

using namespace launcher;

BOOST_AUTO_TEST_SUITE(spec)

BOOST_AUTO_TEST_CASE(a_small_document_is_read) {
    const Spec s = parse_spec(R"({"launchSpecVersion":"1.0","process":{"env":["A=b"],"cwd":"/x","noNewPrivileges":true,"capabilities":{"bounding":[]}},
        "root":{"readonly":false},"mounts":[{"destination":"/a/../b","type":"bind","source":"/s","options":["rbind","ro","nosuid"],"missing":"warn"}],
        "linux":{"namespaces":[{"type":"mount"},{"type":"user"},{"type":"pid"}],"uidMappings":[{"containerID":5,"hostID":6,"size":1}]},
        "images":[{"type":"some","path":"/i","offset":7}],"container":{"action":{"name":"exec","args":["x"]},"layer":"none"}})");
    BOOST_TEST(s.user);
    BOOST_TEST(s.pid);
    BOOST_TEST(!s.ipc);
    BOOST_TEST(s.set_capabilities);
    BOOST_TEST(s.capabilities == 0u);
    BOOST_TEST(!s.read_only);
    BOOST_TEST(s.mounts.at(0).destination == "/b");
    BOOST_TEST(s.mounts.at(0).read_only);
    BOOST_TEST((s.mounts.at(0).missing == Missing::warn));
    BOOST_TEST(s.uids.at(0).host == 6u);
    BOOST_TEST(s.images.at(0).offset == 7u);
    BOOST_TEST(s.layer == "none");
}

BOOST_AUTO_TEST_CASE(what_it_does_not_know_is_refused) {
    const std::string head = R"({"launchSpecVersion":"1.0","images":[{"type":"t","path":"/i"}])";
    BOOST_CHECK_NO_THROW(parse_spec(head + "}"));
    for (const std::string rest :
         {R"(,"mounts":[{"destination":"relative","type":"bind"}]})", R"(,"mounts":[{"destination":"/a","type":"bind","options":["weird"]}]})",
          R"(,"linux":{"namespaces":[{"type":"time"}]}})", R"(,"mounts":{}})", R"(,"process":{"env":[1]}})", R"(,"process":{"env":["a\u0000b"]}})",
          R"(,"process":{"capabilities":{"permitted":["CAP_NO_SUCH"]}}})", R"(,"linux":{"uidMappings":[{"size":99999999999}]}})"})
        BOOST_CHECK_EXCEPTION(parse_spec(head + rest), Error, [](const Error& e) { return e.code() == Code::invalid; });
    for (const std::string text : {"", "[]", "{", R"({"launchSpecVersion":"2.0"})", R"({"launchSpecVersion":"1.0"})"})
        BOOST_CHECK_THROW(parse_spec(text), Error);
    BOOST_CHECK_THROW(parse_spec(std::string(1 << 20, '[')), Error);  // no stack is that deep
}

BOOST_AUTO_TEST_CASE(images_beside_the_root_have_roles_and_mounts_name_them) {
    const std::string head = R"({"launchSpecVersion":"1.0","images":[{"type":"t","path":"/i"},{"role":"overlay","type":"bind","path":"/o","writable":true},{"role":"data","type":"t","path":"/d"}])";
    const Spec s = parse_spec(head + R"(,"mounts":[{"destination":"/a","type":"image","source":"/in","image":2}]})");
    BOOST_TEST((s.images.at(1).role == Role::overlay));
    BOOST_TEST(s.images.at(1).writable);
    BOOST_TEST(s.mounts.at(0).image == 2u);
    for (const char* image : {"0", "1", "3"})
        BOOST_CHECK_THROW(parse_spec(head + R"(,"mounts":[{"destination":"/a","type":"image","source":"/in","image":)" + image + "}]}"), Error);
    BOOST_CHECK_THROW(parse_spec(R"({"launchSpecVersion":"1.0","images":[{"role":"overlay","type":"t","path":"/i"}]})"), Error);
    BOOST_CHECK_THROW(parse_spec(R"({"launchSpecVersion":"1.0","images":[{"type":"t","path":"/i"},{"type":"t","path":"/i"}]})"), Error);
}

BOOST_AUTO_TEST_CASE(capabilities_are_named) {
    const Spec s = parse_spec(R"({"launchSpecVersion":"1.0","images":[{"type":"t","path":"/i"}],"process":{"capabilities":{"permitted":["CAP_CHOWN","CAP_CHECKPOINT_RESTORE"]}}})");
    BOOST_TEST(s.capabilities == (uint64_t{1} | uint64_t{1} << 40));
}

BOOST_AUTO_TEST_SUITE_END()
