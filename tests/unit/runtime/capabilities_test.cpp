#include "runtime/capabilities.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "base/error.hpp"

using namespace sg;
using namespace sg::runtime;

BOOST_AUTO_TEST_SUITE(capabilities)

namespace {

struct Directory {
    std::string path = "/tmp/sg-test-XXXXXX";
    Directory() { BOOST_REQUIRE(mkdtemp(path.data())); }
    ~Directory() { (void)!std::system(("rm -rf '" + path + "'").c_str()); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(names_are_read_in_any_case_with_and_without_the_prefix) {
    BOOST_TEST(parse_capabilities("CAP_CHOWN") == 1u);
    BOOST_TEST(parse_capabilities("chown, Kill") == (1u | 1u << 5));
    BOOST_TEST(parse_capabilities("all") == all_capabilities());
    BOOST_TEST(parse_capabilities("") == 0u);
    BOOST_CHECK_EXCEPTION(parse_capabilities("CAP_NET_RAWW"), Error, [](const Error& e) { return e.code() == Code::usage && e.hint().find("CAP_NET_RAW") != std::string::npos; });
}

BOOST_AUTO_TEST_CASE(only_a_name_that_is_near_is_proposed) {
    const auto hint = [](const char* word) {
        try {
            parse_capabilities(word);
        } catch (const Error& e) {
            return e.hint();
        }
        return std::string("none");
    };
    BOOST_TEST(hint("CAP_NONE") == "singularity capability avail lists them");
    BOOST_TEST(hint("sysadmin") == "Did you mean 'CAP_SYS_ADMIN'?");
    BOOST_TEST(hint("CAP_CHOWM") == "Did you mean 'CAP_CHOWN'?");
    BOOST_TEST(hint("CAP_") == "singularity capability avail lists them");
}

BOOST_AUTO_TEST_CASE(what_is_kept_is_read_again) {
    const Directory d;
    CapabilityFile file(d.path + "/capability.json");
    BOOST_CHECK_NO_THROW(file.load());
    BOOST_TEST(file.entries().empty());
    file.set(CapabilityFile::Kind::user, "ann", parse_capabilities("net_raw"));
    file.set(CapabilityFile::Kind::group, "net", parse_capabilities("net_admin"));
    file.save();
    CapabilityFile again(d.path + "/capability.json");
    again.load();
    User ann;
    ann.name = "ann";
    BOOST_TEST(again.allowed(ann) == parse_capabilities("net_raw"));
    ann.groups = {{"net", 7}};
    BOOST_TEST(again.allowed(ann) == parse_capabilities("net_raw,net_admin"));
    again.set(CapabilityFile::Kind::user, "ann", 0);
    BOOST_TEST(again.entries().size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_understood_is_refused) {
    const Directory d;
    for (const char* text : {"{", "[]", R"({"users":[]})", R"({"users":{"ann":"CAP_CHOWN"}})", R"({"users":{"ann":[1]}})", R"({"users":{"ann":["CAP_NO"]}})"}) {
        std::ofstream(d.path + "/c") << text;
        CapabilityFile file(d.path + "/c");
        BOOST_CHECK_THROW(file.load(), Error);
    }
}

BOOST_AUTO_TEST_SUITE_END()
