// registries.conf: which entry counts, where names lead, and what is no configuration.
#include "registry/conf.hpp"

#include "bootstrap.family/source_fixture.hpp"
#include "registry/endpoint.hpp"

using namespace registry;
using fixture::contains;
using fixture::error_of;
using singularity::Code;
using singularity::Error;

namespace {

RegistriesConf conf_of(const std::string& text) {
    RegistriesConf conf;
    conf.add(text, "test.conf");
    return conf;
}

// "host repository scheme,scheme[ unchecked][ mirror]" for each server in order.
std::string servers(const RegistriesConf& conf, const std::string& image, bool no_https = false) {
    std::string out;
    for (const Endpoint& e : endpoints_of(sources::parse_image_reference(image), conf, no_https)) {
        out += (out.empty() ? "" : " > ") + e.host + " " + e.repository;
        for (const std::string& s : e.schemes) out += " " + s;
        if (!e.verify_tls) out += " unchecked";
        if (e.mirror) out += " mirror";
    }
    return out;
}

const std::string digest = "@sha256:" + std::string(64, 'a');

}  // namespace

BOOST_AUTO_TEST_SUITE(registries_conf)

BOOST_AUTO_TEST_CASE(without_one_names_are_as_docker_has_them) {
    const RegistriesConf none;
    BOOST_TEST(servers(none, "lolcow") == "registry-1.docker.io library/lolcow https");
    BOOST_TEST(servers(none, "index.docker.io/a/b:1") == "registry-1.docker.io a/b https");
    BOOST_TEST(servers(none, "r.example.com:5000/a/b") == "r.example.com:5000 a/b https");
    BOOST_TEST(servers(none, "localhost:5000/a") == "localhost:5000 a http https");
    BOOST_TEST(servers(none, "[::1]:5000/a") == "[::1]:5000 a http https");
    BOOST_TEST(servers(none, "10.0.0.1:5000/a") == "10.0.0.1:5000 a https");
    BOOST_TEST(servers(none, "10.0.0.1:5000/a", true) == "10.0.0.1:5000 a http https unchecked");
    const auto server = [&](const char* image) { return endpoints_of(sources::parse_image_reference(image), none, false)[0].server; };
    BOOST_TEST(server("a/b") == "https://index.docker.io/v1/a/b");
    BOOST_TEST(server("h:1/a/b") == "h:1/a/b");
}

BOOST_AUTO_TEST_CASE(the_longest_prefix_counts_and_is_replaced) {
    const RegistriesConf conf = conf_of(R"(
unqualified-search-registries = ["example.org"]
short-name-mode = "enforcing"
[[registry]]
prefix = "docker.io"
location = "hub.example.com:8443/proxy/"
[[registry]]
prefix = "docker.io/library/lolcow"
location = "localhost:5000/cow"
insecure = true
[[registry]]
prefix = "*.example.net"
insecure = true
[[registry]]
location = "bad.example.org"
blocked = true
)");
    BOOST_TEST(servers(conf, "alpine:3") == "hub.example.com:8443 proxy/library/alpine https");
    BOOST_TEST(servers(conf, "lolcow") == "localhost:5000 cow http https unchecked");
    BOOST_TEST(servers(conf, "lolcowboy") == "hub.example.com:8443 proxy/library/lolcowboy https");
    BOOST_TEST(servers(conf, "a.b.example.net/x") == "a.b.example.net x https http unchecked");
    BOOST_TEST(servers(conf, "example.net/x") == "example.net x https");
    BOOST_TEST(servers(conf, "h.org/example.net/x") == "h.org example.net/x https");
    const Error e = error_of([&] { servers(conf, "bad.example.org/a/b"); });
    BOOST_TEST(contains(e.message(), "registry bad.example.org is blocked in test.conf"));
    BOOST_TEST((e.code() == Code::veto));
}

BOOST_AUTO_TEST_CASE(all_mirrors_come_in_order_where_they_may_serve) {
    const RegistriesConf conf = conf_of(R"(
[[registry]]
prefix = "docker.io"
location = "docker.io"
[[registry.mirror]]
location = "one.example.com"
[[registry.mirror]]
location = "two.example.com/hub"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "three.example.com"
pull-from-mirror = "tag-only"
insecure = true
)");
    BOOST_TEST(servers(conf, "a/b:1") == "one.example.com a/b https mirror > three.example.com a/b https http unchecked mirror > "
                                         "registry-1.docker.io a/b https");
    BOOST_TEST(servers(conf, "a/b" + digest) == "one.example.com a/b https mirror > two.example.com hub/a/b https mirror > "
                                                "registry-1.docker.io a/b https");
    const RegistriesConf by_digest = conf_of("[[registry]]\nlocation='r.org'\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation='m.org'");
    BOOST_TEST(servers(by_digest, "r.org/a:1") == "r.org a https");
    BOOST_TEST(servers(by_digest, "r.org/a" + digest) == "m.org a https mirror > r.org a https");
}

BOOST_AUTO_TEST_CASE(version_1_is_read) {
    const RegistriesConf conf = conf_of("[registries.search]\nregistries=['x']\n[registries.insecure]\nregistries=['a.org/', 'b.org']\n"
                                        "[registries.block]\nregistries=['b.org']");
    BOOST_TEST(servers(conf, "a.org/x") == "a.org x https http unchecked");
    BOOST_CHECK_THROW(servers(conf, "b.org/x"), Error);
}

BOOST_AUTO_TEST_CASE(later_files_win_by_prefix) {
    const fixture::Scratch dir;
    ConfPaths paths;
    paths.main = dir.write("registries.conf", "[[registry]]\nlocation='a.org'\n[[registry.mirror]]\nlocation='m.org'\n[[registry]]\nlocation='b.org'\ninsecure=true");
    dir.write("d/20-two.conf", "[[registry]]\nprefix='a.org'\nlocation='two.org'");
    dir.write("d/10-one.conf", "[[registry]]\nprefix='a.org'\nlocation='one.org'");
    dir.write("d/30-three.toml", "not read at all");
    paths.drop_ins = {dir.path() + "/missing", dir.path() + "/d"};
    const RegistriesConf conf = RegistriesConf::read(paths);
    BOOST_TEST(servers(conf, "a.org/x") == "two.org x https");
    BOOST_TEST(servers(conf, "b.org/x") == "b.org x https http unchecked");
    paths.main = dir.path() + "/nothing";
    BOOST_TEST(servers(RegistriesConf::read(paths), "b.org/x") == "b.org x https");
    paths.main_is_named = true;
    BOOST_CHECK_THROW(RegistriesConf::read(paths), Error);
}

BOOST_AUTO_TEST_CASE(aliases_of_short_names_hide_no_registry) {
    const std::string aliases = "# names\n[aliases]\n  \"registry\" = \"docker.io/library/registry\"\n";
    RegistriesConf conf;
    conf.add(aliases, "short.conf");
    BOOST_TEST(conf.empty());
    conf.add(aliases + "  [[registry]]\nlocation = \"a.example.com\"\n", "both.conf");
    BOOST_REQUIRE(conf.match("a.example.com/x"));
    conf.add("\"registry\" = [{location = \"b.example.com\"}]\n", "inline.conf");
    BOOST_TEST(conf.match("b.example.com/x"));
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_named_with_file_and_line) {
    const std::pair<const char*, const char*> cases[] = {
        {"[[registry]\n", "test.conf:1: "},
        {"\n\nx = \n", "test.conf:3: "},
        {"[[registry]]\nlocation = 5\n", "test.conf:2: location must be a text"},
        {"[[registry]]\nlocation = 'a'\ninsecure = 'yes'\n", "test.conf:3: insecure must be true or false"},
        {"[[registry]]\ninsecure = true\n", "test.conf:1: this registry has neither prefix nor location"},
        {"[[registry]]\nprefix = 'a.org'\n", "this registry has no location"},
        {"[[registry]]\nlocation = 'https://a.org'\n", "must be HOST[:PORT][/PATH], without a scheme"},
        {"[[registry]]\nprefix = 'a.*.org'\nlocation = 'b'\n", "a * may only stand at its beginning"},
        {"[[registry]]\nprefix = '*.a.org'\nlocation = '*.b.org'\n", "cannot hold a *"},
        {"[[registry]]\nlocation = 'a'\n[[registry.mirror]]\ninsecure = true\n", "this mirror has no location"},
        {"[[registry]]\nlocation = 'a'\n[[registry.mirror]]\nlocation='m'\npull-from-mirror='never'\n", "must be all, digest-only or tag-only"},
        {"[[registry]]\nlocation = 'a'\nmirror-by-digest-only=true\n[[registry.mirror]]\nlocation='m'\npull-from-mirror='all'\n", "exclude each other"},
        {"[registry]\nlocation = 'a'\n", "registry must be an array of tables"},
        {"[registries.block]\nregistries=['a']\n[[registry]]\nlocation = 'a'\n", "cannot stand in one file"},
        {"[registries.block]\nregistries='a'\n", "registries must be a list of names"},
    };
    for (const auto& [text, want] : cases) {
        const Error e = error_of([&, t = text] { conf_of(t); });
        BOOST_TEST((e.code() == Code::invalid));
        BOOST_TEST(contains(e.message(), want));
        BOOST_TEST(contains(e.message(), "test.conf"));
        BOOST_TEST(e.message().find('\n') == std::string::npos);
    }
}

BOOST_AUTO_TEST_SUITE_END()
