#include "image_config.hpp"

#include <signal.h>

#include <boost/test/unit_test.hpp>
#include <singularity/plugin.hpp>

using namespace oci_runtime;
using singularity::Code;
using singularity::Error;

BOOST_AUTO_TEST_SUITE(image_config)

BOOST_AUTO_TEST_CASE(what_docker_applies_is_read) {
    const ImageConfig c = parse_image_config(
        R"({"User":"app:staff","WorkingDir":"srv//x/../app/","Volumes":{"/data":{},"/data/":{},"/a/b":{}},"StopSignal":"SIGQUIT","Env":["A=b"],"Cmd":null})",
        "x.sif");
    BOOST_TEST(c.user == "app:staff");
    BOOST_TEST(c.working_directory == "/srv/app");
    BOOST_TEST(c.volumes == (std::vector<std::string>{"/a/b", "/data"}), boost::test_tools::per_element());
    BOOST_TEST(c.stop_signal == SIGQUIT);
    const ImageConfig empty = parse_image_config(R"({"User":"","WorkingDir":"","Volumes":null})", "x.sif");
    BOOST_TEST(empty.user.empty());
    BOOST_TEST(empty.working_directory.empty());
    BOOST_TEST(empty.volumes.empty());
    BOOST_TEST(empty.stop_signal == 0);
}

BOOST_AUTO_TEST_CASE(a_hostile_configuration_is_refused_by_name) {
    for (const std::string text :
         {"", "[]", "{", R"({"User":3})", R"({"User":"a\u0000b"})", R"({"Volumes":["/x"]})", R"({"Volumes":{"/":{}}})",
          R"({"Volumes":{"..":{}}})", R"({"Volumes":{"/a\u0000b":{}}})", R"({"StopSignal":"SIGNONSENSE"})",
          R"({"WorkingDir":{}})"})
        BOOST_CHECK_EXCEPTION(parse_image_config(text, "x.sif"), Error, [&](const Error& e) {
            return e.code() == Code::corrupt && e.message().find("x.sif") != std::string::npos;
        });
    std::string many = R"({"Volumes":{)";
    for (int i = 0; i < 1001; ++i) many += (i ? ",\"/" : "\"/") + std::to_string(i) + "\":{}";
    BOOST_CHECK_THROW(parse_image_config(many + "}}", "x.sif"), Error);
    BOOST_CHECK_THROW(parse_image_config(std::string(1 << 20, '['), "x.sif"), Error);
}

BOOST_AUTO_TEST_CASE(signals_have_names_and_numbers) {
    BOOST_TEST(signal_number("SIGTERM") == SIGTERM);
    BOOST_TEST(signal_number("term") == SIGTERM);
    BOOST_TEST(signal_number("15") == 15);
    BOOST_TEST(signal_number("SIGRTMIN+3") == SIGRTMIN + 3);
    BOOST_TEST(signal_number("SIGRTMAX-1") == SIGRTMAX - 1);
    BOOST_TEST(signal_number("RTMIN") == SIGRTMIN);
    for (const char* text : {"", "0", "-1", "999", "SIG", "SIGRTMIN+", "SIGRTMIN+99", "SIGRTMIN-1", "4294967311"})
        BOOST_TEST(signal_number(text) == 0, text);
}

BOOST_AUTO_TEST_CASE(users_are_found_by_dockers_rules) {
    const std::string passwd =
        "root:x:0:0:root:/root:/bin/sh\n# a line\napp:x:1000:1001:App:/home/app:/bin/sh\nbroken:x:no:1::/:\n";
    const std::string group = "root:x:0:\nstaff:x:50:app,other\nwheel:x:10:app\napp:x:1001:app\n";
    ImageUser u = find_user("app", passwd, group);
    BOOST_TEST(u.uid == 1000u);
    BOOST_TEST(u.gid == 1001u);
    BOOST_TEST(u.home == "/home/app");
    BOOST_TEST(u.groups == (std::vector<uint32_t>{50, 10}), boost::test_tools::per_element());
    u = find_user("1000", passwd, group);
    BOOST_TEST(u.gid == 1001u);
    BOOST_TEST(u.groups.size() == 2u);
    u = find_user("app:staff", passwd, group);
    BOOST_TEST(u.gid == 50u);
    BOOST_TEST(u.groups.empty());
    u = find_user("4321", passwd, group);
    BOOST_TEST(u.uid == 4321u);
    BOOST_TEST(u.gid == 0u);
    BOOST_TEST(u.home == "/");
    u = find_user("4321:77", "", "");
    BOOST_TEST(u.gid == 77u);
    BOOST_TEST(find_user("0", passwd, group).home == "/root");
    for (const char* text : {"nobody", "broken", "app:nogroup", ":5", "4294967295"})
        BOOST_CHECK_EXCEPTION(find_user(text, passwd, group), Error,
                              [](const Error& e) { return e.code() == Code::not_found; });
}

BOOST_AUTO_TEST_SUITE_END()
