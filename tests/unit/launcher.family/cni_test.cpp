#include "family/cni.hpp"

#include <rapidjson/document.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "family/system.hpp"

using namespace launcher;

BOOST_AUTO_TEST_SUITE(cni)

namespace {

// A directory with configurations and plugins, gone at the end.
struct Place {
    std::string path;
    Networks networks;

    Place() {
        std::string name = (std::filesystem::temp_directory_path() / "cni.XXXXXX").string();
        BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
        std::filesystem::create_directories(path + "/conf");
        std::filesystem::create_directories(path + "/bin");
        networks.configuration = path + "/conf";
        networks.plugins = {path + "/absent", path + "/bin"};
        write("conf/10.conflist", R"({"cniVersion":"1.0.0","name":"a","plugins":[{"type":"one"},{"type":"two","capabilities":{"portMappings":true}}]})");
        write("conf/20.conf", R"({"cniVersion":"0.2.0","name":"b","type":"one"})");
    }
    Place(const Place&) = delete;
    ~Place() { std::filesystem::remove_all(path); }
    void write(const std::string& name, const std::string& text, bool program = false) const {
        std::ofstream(path + "/" + name) << text;
        if (program) std::filesystem::permissions(path + "/" + name, std::filesystem::perms(0755));
    }
    std::vector<Attachment> plan(std::vector<std::string> names, std::vector<std::string> arguments = {}) {
        networks.names = std::move(names);
        networks.arguments = std::move(arguments);
        return plan_attachments(networks);
    }
    PluginCalls calls() const { return {"id", "/proc/self/ns/net", networks.plugins}; }
    std::string log() const {
        std::ifstream in(path + "/log");
        return {std::istreambuf_iterator<char>(in), {}};
    }
};

std::string after(const std::string& text, const std::string& what) {
    const size_t at = text.find(what);
    return at == std::string::npos ? std::string() : text.substr(at + what.size());
}

bool is(const Error& e, Code code) { return e.code() == code; }

}  // namespace

BOOST_AUTO_TEST_CASE(networks_are_found_by_name_and_get_an_interface_each) {
    Place p;
    const auto all = p.plan({"b", "a"});
    BOOST_REQUIRE(all.size() == 2u);
    BOOST_TEST(all[0].network == "b");
    BOOST_TEST(all[0].interface == "eth0");
    BOOST_TEST(all[0].version == "0.2.0");
    BOOST_TEST(all[1].interface == "eth1");
    BOOST_TEST(all[1].plugins.size() == 2u);
    BOOST_TEST(all[1].plugins[0] == R"({"type":"one","name":"a","cniVersion":"1.0.0"})");
    BOOST_TEST(all[1].arguments == "IgnoreUnknown=1");
    BOOST_TEST(p.plan({}).empty());
}

BOOST_AUTO_TEST_CASE(unknown_networks_and_broken_files_are_told_apart) {
    Place p;
    BOOST_CHECK_EXCEPTION(p.plan({"c"}), Error, [](const Error& e) { return is(e, Code::not_found) && e.hint().find("a, b") != std::string::npos; });
    for (const char* text : {"{", "[]", "{}", R"({"name":"c"})", R"({"name":"c","plugins":[]})", R"({"name":"c","plugins":[{}]})", R"({"name":"c","plugins":[{"type":"../x"}]})", R"({"name":"c","plugins":[3]})"}) {
        p.write("conf/05.conflist", text);
        BOOST_CHECK_EXCEPTION(p.plan({"c"}), Error, [](const Error& e) { return is(e, Code::corrupt) && e.message().find("05.conflist") != std::string::npos; });
        BOOST_TEST(p.plan({"a"}).size() == 1u);  // it hides no other
    }
    p.networks.configuration = p.path + "/none";
    BOOST_CHECK_THROW(p.plan({"a"}), Error);
}

BOOST_AUTO_TEST_CASE(arguments_go_to_their_network_and_ports_to_plugins_that_map_them) {
    Place p;
    const auto all = p.plan({"a", "b"}, {"portmap=8080:80/tcp;K=V", "b:IP=1.2.3.4;", "portmap=53/udp"});
    BOOST_TEST(all[0].arguments == "IgnoreUnknown=1;K=V");
    BOOST_TEST(all[1].arguments == "IgnoreUnknown=1;IP=1.2.3.4");
    BOOST_TEST(all[0].plugins[0].find("runtimeConfig") == std::string::npos);
    BOOST_TEST(after(all[0].plugins[1], "runtimeConfig").starts_with(
        R"(":{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"},{"hostPort":53,"containerPort":53,"protocol":"udp"}]})"));
    for (const char* bad : {"portmap=80", "portmap=/tcp", "portmap=0/tcp", "portmap=65536/tcp", "portmap=1:x/tcp", "portmap=80/icmp", "K", "=V", "K=V=W", "c:K=V", ""})
        BOOST_CHECK_EXCEPTION(p.plan({"a"}, {bad}), Error, [](const Error& e) { return is(e, Code::usage); });
    // Nobody would map it.
    BOOST_CHECK_EXCEPTION(p.plan({"b"}, {"portmap=80/tcp"}), Error, [](const Error& e) { return is(e, Code::usage); });
    BOOST_CHECK_EXCEPTION(p.plan({"a"}, {"ipRange=10.0.0.0/8"}), Error, [](const Error& e) { return is(e, Code::usage); });
}

BOOST_AUTO_TEST_CASE(results_go_from_plugin_to_plugin_and_back_to_del) {
    Place p;
    const std::string program = "#!/bin/sh\necho \"$CNI_COMMAND ${0##*/} $CNI_IFNAME $CNI_CONTAINERID $(cat)\" >>" + p.path + "/log\n[ $CNI_COMMAND = DEL ] || echo '{\"ips\":[{\"address\":\"10.1.2.3/16\"}],\"by\":\"'${0##*/}'\"}'\n";
    p.write("bin/one", program, true);
    p.write("bin/two", program, true);
    auto all = p.plan({"a"});
    BOOST_TEST(first_address(all).empty());
    attach(all[0], p.calls());
    BOOST_TEST(all[0].begun);
    BOOST_TEST(first_address(all) == "10.1.2.3");
    detach(all[0], p.calls());
    const std::string one = R"({"type":"one","name":"a","cniVersion":"1.0.0")", two = R"({"type":"two","capabilities":{"portMappings":true},"name":"a","cniVersion":"1.0.0")";
    const auto result = [](const std::string& by) { return R"(,"prevResult":{"ips":[{"address":"10.1.2.3/16"}],"by":")" + by + "\"}}\n"; };
    BOOST_TEST(p.log() == "ADD one eth0 id " + one + "}\nADD two eth0 id " + two + result("one") + "DEL two eth0 id " + two + result("two") + "DEL one eth0 id " + one + result("two"));
    all[0].result = R"({"ip4":{"ip":"10.9.9.9/24"}})";
    BOOST_TEST(first_address(all) == "10.9.9.9");
}

BOOST_AUTO_TEST_CASE(failures_are_quoted_and_each_plugin_is_called_to_undo) {
    Place p;
    p.write("bin/one", "#!/bin/sh\necho $CNI_COMMAND one >>" + p.path + "/log; echo '{}'\n", true);
    auto all = p.plan({"a"});
    // Before the first call, as nothing is to be undone then.
    BOOST_CHECK_EXCEPTION(attach(all[0], p.calls()), Error, [](const Error& e) { return is(e, Code::not_found) && e.message().find("'two'") != std::string::npos; });
    BOOST_TEST(!all[0].begun);
    BOOST_TEST(p.log().empty());
    const auto fails = [&](const std::string& body, const std::string& words) {
        p.write("bin/two", "#!/bin/sh\n" + body, true);
        auto one = p.plan({"a"})[0];
        BOOST_CHECK_EXCEPTION(attach(one, p.calls()), Error, [&](const Error& e) { return e.message().find("'two' (ADD)") != std::string::npos && e.message().find(words) != std::string::npos; });
        BOOST_TEST(one.begun);
    };
    fails("echo '{\"code\":7,\"msg\":\"no room\",\"details\":\"at all\"}'; exit 1", "no room; at all");
    fails("echo trouble >&2; exit 1", "trouble");
    fails("exit 9", "status 9");
    fails("kill -9 $$", "signal 9");
    p.write("bin/two", "#!/bin/sh\necho no JSON", true);
    auto one = p.plan({"a"})[0];
    BOOST_CHECK_THROW(attach(one, p.calls()), Error);
    p.write("bin/two", "#!/bin/sh\nexit 1", true);
    std::filesystem::remove(p.path + "/log");
    BOOST_CHECK_THROW(detach(one, p.calls()), Error);
    BOOST_TEST(p.log() == "DEL one\n");
}

BOOST_AUTO_TEST_SUITE_END()
