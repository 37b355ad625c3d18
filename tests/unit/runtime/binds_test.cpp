#include "runtime/binds.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"

using namespace sg;
using namespace sg::runtime;

BOOST_AUTO_TEST_SUITE(binds)

static std::string shown(const std::vector<Bind>& all) {
    std::string out;
    for (const auto& b : all) out += "[" + b.source + "|" + b.destination + (b.read_only ? "|ro]" : "]");
    return out;
}

BOOST_AUTO_TEST_CASE(the_plain_forms_are_understood) {
    BOOST_TEST(shown(parse_binds("/a")) == "[/a|/a]");
    BOOST_TEST(shown(parse_binds("/a:/b")) == "[/a|/b]");
    BOOST_TEST(shown(parse_binds("/a:/b:ro")) == "[/a|/b|ro]");
    BOOST_TEST(shown(parse_binds("/a:/b:rw")) == "[/a|/b]");
    BOOST_TEST(shown(parse_binds("/a:/a:ro,/c,/d:/e")) == "[/a|/a|ro][/c|/c][/d|/e]");
    BOOST_TEST(shown(parse_binds("")) == "");
    BOOST_TEST(shown(parse_binds("/a,,/b")) == "[/a|/a][/b|/b]");
    BOOST_TEST(shown(parse_binds("/a:")) == "[/a|/a]");
}

BOOST_AUTO_TEST_CASE(colons_and_commas_can_be_escaped) {
    BOOST_TEST(shown(parse_binds("/a\\:b:/c\\,d")) == "[/a:b|/c,d]");
    BOOST_TEST(shown(parse_binds("/x\\,y,/z")) == "[/x,y|/x,y][/z|/z]");
    BOOST_TEST(shown(parse_binds("/with space")) == "[/with space|/with space]");
}

BOOST_AUTO_TEST_CASE(wrong_forms_are_usage_errors) {
    for (const char* text : {":/b", "/a:/b:xx", "/a:/b:ro:more"}) {
        BOOST_CHECK_EXCEPTION(parse_binds(text), Error, [](const Error& e) { return e.code() == Code::usage; });
    }
    BOOST_CHECK_EXCEPTION(parse_binds("/a.sif:/b:image-src=/data"), Error, [](const Error& e) { return e.code() == Code::unsupported; });
    BOOST_CHECK_EXCEPTION(parse_binds("/a.sif:/b:ro,id=2"), Error, [](const Error& e) { return e.code() == Code::unsupported; });
}

BOOST_AUTO_TEST_CASE(mount_specifications_are_csv) {
    BOOST_TEST(shown(parse_mounts("type=bind,source=/a,target=/b,readonly")) == "[/a|/b|ro]");
    BOOST_TEST(shown(parse_mounts("type=bind,src=/a,dst=/b")) == "[/a|/b]");
    BOOST_TEST(shown(parse_mounts("\"source=/a,b\",type=bind,\"destination=/c \"\"d\"\"\"")) == "[/a,b|/c \"d\"]");
    BOOST_TEST(shown(parse_mounts("type=bind,src=/a,dst=/b,ro\ntype=bind,src=/c,dst=/d\n")) == "[/a|/b|ro][/c|/d]");
    for (const char* text : {"type=tmpfs,dst=/b", "type=bind,src=/a", "type=bind,dst=/a", "type=bind,src=/a,dst=/b,what=1", "\"type=bind"}) {
        BOOST_CHECK_EXCEPTION(parse_mounts(text), Error, [](const Error& e) { return e.code() == Code::usage; });
    }
}

BOOST_AUTO_TEST_SUITE_END()
