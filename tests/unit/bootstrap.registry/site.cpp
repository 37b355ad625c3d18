// A site's defaults for registries.
#include "registry/site.hpp"

#include <boost/test/unit_test.hpp>

using namespace registry;

namespace {

std::string named(const char* server, const char* name_space, const char* reference) {
    SiteDefaults site;
    site.server = server;
    return with_default(site, name_space, reference);
}

std::string mirrors(const std::vector<std::string>& texts, std::string_view name) {
    SiteDefaults site;
    site.conf = "/dev/null";
    site.mirrors = texts;
    const RegistriesConf conf = effective_conf(site);
    const RegistryEntry* e = conf.match(name);
    if (!e) return "none";
    std::string out;
    for (const auto& m : e->mirrors)
        out += (out.empty() ? "" : " ") + rewritten(name, *e, m.location) + (m.insecure ? "!" : "");
    return out + " " + rewritten(name, *e, e->location);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(site)

BOOST_AUTO_TEST_CASE(a_default_registry_is_for_names_without_a_host) {
    BOOST_TEST(named("r.example.org/hub", "", "alpine") == "r.example.org/hub/alpine");
    BOOST_TEST(named("r.example.org/hub", "", "ann/tool:1") == "r.example.org/hub/ann/tool:1");
    BOOST_TEST(named("r.example.org/hub", "other", "tool") == "r.example.org/other/tool");
    for (const char* full : {"docker.io/library/alpine", "localhost/x", "host:5000/x", "[::1]:5000/x", "Host/x"})
        BOOST_TEST(named("r.example.org", "", full) == full);
    BOOST_TEST(named("", "", "alpine") == "alpine");
    BOOST_TEST(named("", "ann", "tool") == "ann/tool");
    BOOST_TEST(named("r.example.org", "", "alpine@sha256:00") == "r.example.org/alpine@sha256:00");
}

BOOST_AUTO_TEST_CASE(mirrors_are_asked_in_their_order_before_the_registry) {
    const std::vector<std::string> two = {"docker.io=http://one:5000/hub", "docker.io=https://two/"};
    BOOST_TEST(mirrors(two, "docker.io/library/alpine") ==
               "one:5000/hub/library/alpine! two/library/alpine docker.io/library/alpine");
    BOOST_TEST(mirrors(two, "quay.io/x/y") == "none");
    BOOST_TEST(mirrors({"docker.io/library=m"}, "docker.io/library/alpine") == "m/alpine docker.io/library/alpine");
    BOOST_TEST(mirrors({"docker.io/library=m"}, "docker.io/ann/x") == "none");
}

BOOST_AUTO_TEST_CASE(a_wrong_mirror_is_refused) {
    for (const char* wrong :
         {"docker.io", "=x", "docker.io=", "docker.io=ftp://x", "docker.io=user@x", "docker.io=a b"})
        BOOST_CHECK_EXCEPTION(mirrors({wrong}, "x/y"), singularity::Error,
                              [&](const auto& e) { return e.message().find(wrong) != std::string::npos; });
}

BOOST_AUTO_TEST_SUITE_END()
