#include "runtime/launch_spec.hpp"

#include <rapidjson/document.h>

#include <boost/test/unit_test.hpp>
#include <cstring>

#include "base/error.hpp"
#include "runtime/capabilities.hpp"
#include "runtime/lazy_root.hpp"

using namespace sg;
using namespace sg::runtime;

BOOST_AUTO_TEST_SUITE(launch_spec)

namespace {

struct Fixture {
    LaunchOptions options;
    ImageFacts image;
    Machine machine;
    const char* environment[2] = {"FOO=bar", nullptr};

    Fixture() {
        options.action = "exec";
        options.arguments = {"/bin/true", "x"};
        image.path = "/images/x";
        image.arch = "amd64";
        std::strcpy(image.plan.type, "some");
        std::strcpy(image.plan.path, "/images/x");
        image.plan.offset = 4096;
        image.plan.size = 8192;
        machine.user.uid = machine.user.gid = 1000;
        machine.user.name = "ann";
        machine.user.home = "/home/ann";
        machine.user.groups = {{"ann", 1000}, {"wheel", 10}};
        machine.session_places = {"/mnt"};
        machine.environment = environment;
    }

    rapidjson::Document make() {
        rapidjson::Document d;
        d.Parse(make_launch_spec(options, Settings::defaults(), image, machine).json);
        BOOST_REQUIRE(!d.HasParseError());
        return d;
    }
};

std::vector<std::string> namespaces(const rapidjson::Document& d) {
    std::vector<std::string> out;
    for (const auto& n : d["linux"]["namespaces"].GetArray()) out.push_back(n["type"].GetString());
    return out;
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(an_ordinary_user_gets_a_user_namespace_and_no_rights, Fixture) {
    const auto d = make();
    BOOST_TEST(namespaces(d) == (std::vector<std::string>{"user", "mount"}), boost::test_tools::per_element());
    BOOST_TEST(d["linux"]["uidMappings"][0]["containerID"].GetUint() == 1000u);
    BOOST_TEST(d["linux"]["uidMappings"][0]["hostID"].GetUint() == 1000u);
    BOOST_TEST(d["process"]["noNewPrivileges"].GetBool());
    BOOST_TEST(d["process"]["capabilities"]["bounding"].Empty());
    BOOST_TEST(d["process"]["cwd"].GetString() == "/home/ann");
    BOOST_TEST(d["root"]["readonly"].GetBool());
}

BOOST_FIXTURE_TEST_CASE(root_keeps_its_rights_and_needs_no_user_namespace, Fixture) {
    machine.root = true;
    machine.user.uid = machine.user.gid = 0;
    const auto d = make();
    BOOST_TEST(namespaces(d) == std::vector<std::string>{"mount"}, boost::test_tools::per_element());
    BOOST_TEST(d["process"]["noNewPrivileges"].GetBool());
    BOOST_TEST(!d["process"].HasMember("capabilities"));
    options.keep_privileges = true;
    BOOST_TEST(!make()["process"]["noNewPrivileges"].GetBool());
    BOOST_TEST(d["container"]["session"]["bytes"].GetUint64() == 0u);
}

BOOST_FIXTURE_TEST_CASE(it_names_the_image_the_action_and_the_origins, Fixture) {
    const auto d = make();
    BOOST_TEST(d["launchSpecVersion"].GetString() == "1.0");
    BOOST_TEST(d["images"].Size() == 1u);
    BOOST_TEST(d["images"][0]["offset"].GetUint64() == 4096u);
    BOOST_TEST(d["images"][0]["type"].GetString() == "some");
    BOOST_TEST(d["container"]["action"]["name"].GetString() == "exec");
    BOOST_TEST(d["container"]["action"]["args"][1].GetString() == "x");
    BOOST_TEST(d["process"]["args"][0].GetString() == "/.singularity.d/actions/exec");
    BOOST_TEST(d["container"]["identity"]["groups"][1]["name"].GetString() == "wheel");
    BOOST_TEST(d["origin"].HasMember("mount.home"));
}

BOOST_FIXTURE_TEST_CASE(namespaces_follow_the_options, Fixture) {
    options.pid = options.ipc = options.net = true;
    options.hostname = "box";
    BOOST_TEST(namespaces(make()) == (std::vector<std::string>{"user", "mount", "pid", "ipc", "uts", "network"}), boost::test_tools::per_element());
    BOOST_TEST(make_launch_spec(options, Settings::defaults(), image, machine).child);
}

BOOST_FIXTURE_TEST_CASE(an_image_that_cannot_be_written_refuses_writable, Fixture) {
    options.writable = true;
    BOOST_CHECK_EXCEPTION(make(), Error, [](const Error& e) { return e.code() == Code::unsupported; });
    image.plan.writable = 1;
    const auto d = make();
    BOOST_TEST(d["container"]["layer"].GetString() == "none");
    BOOST_TEST(!d["root"]["readonly"].GetBool());
}

BOOST_FIXTURE_TEST_CASE(text_that_json_must_escape_survives, Fixture) {
    options.arguments = {"a\"b\\c\n\x01", "\xff\xfe"};
    const auto d = make();
    BOOST_TEST(std::string(d["container"]["action"]["args"][0].GetString()) == options.arguments[0]);
    BOOST_TEST(std::string(d["container"]["action"]["args"][1].GetString()) == options.arguments[1]);
}

BOOST_FIXTURE_TEST_CASE(overlays_and_data_follow_the_root_in_the_list_of_images, Fixture) {
    ExtraFacts overlay{"overlay", {}, true}, data{"data", {}, false};
    std::strcpy(overlay.plan.type, "bind");
    image.extra = {overlay, data};
    options.binds = parse_binds("/tmp:/plain,/usr:/d:image-src=/in");
    const auto d = make();
    BOOST_TEST(d["images"].Size() == 3u);
    BOOST_TEST(d["images"][1]["role"].GetString() == "overlay");
    BOOST_TEST(d["images"][1]["writable"].GetBool());
    bool found = false;
    for (const auto& m : d["mounts"].GetArray())
        if (m["type"] == "image") {
            found = true;
            BOOST_TEST(m["image"].GetUint() == 2u);
            BOOST_TEST(m["source"].GetString() == "/in");
        }
    BOOST_TEST(found);
}

BOOST_FIXTURE_TEST_CASE(what_would_be_written_to_twice_is_refused, Fixture) {
    image.extra = {ExtraFacts{"overlay", {}, true}};
    options.writable_tmpfs = true;
    BOOST_CHECK_THROW(make(), Error);
    options.writable_tmpfs = false;
    options.writable = true;  // goes to the overlay
    BOOST_TEST(make()["root"]["readonly"].GetBool());
    options.overlays.emplace_back();  // one that was asked for beside it
    BOOST_CHECK_THROW(make(), Error);
    options.overlays.clear();
    image.extra.clear();
    BOOST_CHECK_THROW(make(), Error);
}

BOOST_FIXTURE_TEST_CASE(capabilities_are_added_and_dropped, Fixture) {
    options.add_capabilities = "net_raw,CAP_CHOWN";
    options.drop_capabilities = "chown";
    auto d = make();
    BOOST_TEST(d["process"]["capabilities"]["ambient"].Size() == 1u);
    BOOST_TEST(d["process"]["capabilities"]["ambient"][0].GetString() == "CAP_NET_RAW");
    machine.user.uid = machine.user.gid = 0;
    machine.root = true;
    d = make();
    BOOST_TEST(d["process"]["capabilities"]["permitted"].Size() == capability_names(all_capabilities()).size() - 1);
    options.add_capabilities = "no_such";
    BOOST_CHECK_EXCEPTION(make(), Error, [](const Error& e) { return e.code() == Code::usage; });
}

BOOST_FIXTURE_TEST_CASE(security_options_change_ids, Fixture) {
    options.security = {"uid:5", "gid:7"};
    auto d = make();
    BOOST_TEST(d["linux"]["uidMappings"][0]["containerID"].GetUint() == 5u);
    BOOST_TEST(d["linux"]["uidMappings"][0]["hostID"].GetUint() == 1000u);
    BOOST_TEST(d["process"]["user"]["gid"].GetUint() == 7u);
    for (const char* wrong : {"uid", "uid:x", "gid:1:", "gid:1:2", "what:1", "uid:4294967295"}) {
        options.security = {wrong};
        BOOST_CHECK_THROW(make(), Error);
    }
    options.security = {"uid:5"};
    options.fakeroot = true;
    BOOST_CHECK_THROW(make(), Error);
}

BOOST_FIXTURE_TEST_CASE(fakeroot_is_root_with_the_home_of_the_caller, Fixture) {
    options.fakeroot = true;
    options.ignore_subuid = options.ignore_fakeroot_command = true;
    machine.user.home = "/tmp";
    const auto d = make();
    BOOST_TEST(d["linux"]["uidMappings"].Size() == 1u);
    BOOST_TEST(d["linux"]["uidMappings"][0]["containerID"].GetUint() == 0u);
    BOOST_TEST(d["process"]["user"]["uid"].GetUint() == 0u);
    BOOST_TEST(!d["process"].HasMember("capabilities"));
    BOOST_TEST(d["container"]["identity"]["user"]["name"].GetString() == "root");
    BOOST_TEST(d["container"]["identity"]["user"]["home"].GetString() == "/root");
    BOOST_TEST(!d["container"].HasMember("wrapper"));
}

BOOST_AUTO_TEST_SUITE_END()


BOOST_AUTO_TEST_SUITE(lazy_root)

BOOST_AUTO_TEST_CASE(a_reader_is_opened_once_when_it_is_used) {
    static const sg_root_v1 functions = {
        [](sg_root*) -> uint64_t { return 7; },
        [](sg_root*, uint64_t node, sg_attr* out, sg_error*) -> int32_t {
            out->size = node * 2;
            return SG_OK;
        },
        nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
    int opened = 0;
    LazyRoot lazy([&] {
        ++opened;
        return LazyRoot::Reader{&functions, nullptr};
    });
    BOOST_TEST(opened == 0);
    BOOST_TEST(LazyRoot::table()->root(lazy.handle()) == 7u);
    sg_attr a{};
    BOOST_TEST(LazyRoot::table()->stat(lazy.handle(), 21, &a, nullptr) == SG_OK);
    BOOST_TEST(a.size == 42u);
    BOOST_TEST(opened == 1);
}

BOOST_AUTO_TEST_CASE(a_reader_that_cannot_be_opened_says_so_at_each_call) {
    LazyRoot lazy([]() -> LazyRoot::Reader { throw Error(Code::corrupt, "damaged"); });
    BOOST_TEST(LazyRoot::table()->root(lazy.handle()) == SG_NO_NODE);
    sg_error e{};
    sg_attr a{};
    BOOST_TEST(LazyRoot::table()->stat(lazy.handle(), 1, &a, &e) == SG_ECORRUPT);
    BOOST_TEST(std::string(e.message) == "damaged");
}

BOOST_AUTO_TEST_SUITE_END()
