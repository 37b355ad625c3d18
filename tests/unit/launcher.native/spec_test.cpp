#include "spec.hpp"

#include <boost/test/unit_test.hpp>

#include "system.hpp"

using namespace native;

BOOST_AUTO_TEST_SUITE(spec)

BOOST_AUTO_TEST_CASE(a_small_document_is_read) {
    const Spec s = parse_spec(R"({"launchSpecVersion":"1.0","process":{"env":["A=b"],"cwd":"/x","noNewPrivileges":true,"capabilities":{"bounding":[]}},
        "root":{"readonly":false},"mounts":[{"destination":"/a/../b","type":"bind","source":"/s","options":["rbind","ro","nosuid"],"missing":"warn"}],
        "linux":{"namespaces":[{"type":"mount"},{"type":"user"},{"type":"pid"}],"uidMappings":[{"containerID":5,"hostID":6,"size":1}]},
        "images":[{"type":"some","path":"/i","offset":7}],"container":{"action":{"name":"exec","args":["x"]},"layer":"none"}})");
    BOOST_TEST(s.user);
    BOOST_TEST(s.pid);
    BOOST_TEST(!s.ipc);
    BOOST_TEST(s.drop_capabilities);
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
          R"(,"process":{"capabilities":{"bounding":["CAP_SYS_ADMIN"]}}})", R"(,"linux":{"uidMappings":[{"size":99999999999}]}})"})
        BOOST_CHECK_EXCEPTION(parse_spec(head + rest), Error, [](const Error& e) { return e.code() == Code::invalid; });
    for (const std::string text : {"", "[]", "{", R"({"launchSpecVersion":"2.0"})", R"({"launchSpecVersion":"1.0"})"})
        BOOST_CHECK_THROW(parse_spec(text), Error);
}

BOOST_AUTO_TEST_SUITE_END()
