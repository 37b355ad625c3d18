// The record that `inspect` reads.
#include "metadata/attributes.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "metadata/json_text.hpp"

using namespace sg;

BOOST_AUTO_TEST_SUITE(attributes)

BOOST_AUTO_TEST_CASE(members_stand_in_apptainers_order_and_empty_ones_are_absent) {
    Attributes a;
    BOOST_TEST(attributes_json(a) == R"({"data":{"attributes":{}},"type":"container"})");
    a.labels = {{"k", "v"}};
    a.runscript = "r", a.test = "t", a.helpfile = "h", a.deffile = "d", a.startscript = "s";
    a.environment["/.singularity.d/env/90-environment.sh"] = "e";
    a.apps["foo"].runscript = "fr";
    a.apps["foo"].labels = {{"SCIF_APP_NAME", "foo"}};
    BOOST_TEST(
        attributes_json(a) ==
        R"({"data":{"attributes":{"apps":{"foo":{"labels":{"SCIF_APP_NAME":"foo"},"runscript":"fr"}},)"
        R"("environment":{"/.singularity.d/env/90-environment.sh":"e"},"labels":{"k":"v"},"runscript":"r","test":"t","helpfile":"h",)"
        R"("deffile":"d","startscript":"s"}},"type":"container"})");
}

BOOST_AUTO_TEST_CASE(the_envelope_for_people_is_indented_by_tabs) {
    Attributes a;
    a.labels = {{"k", "v"}};
    BOOST_TEST(attributes_json(a, "\t") ==
               "{\n\t\"data\": {\n\t\t\"attributes\": {\n\t\t\t\"labels\": {\n\t\t\t\t\"k\": "
               "\"v\"\n\t\t\t}\n\t\t}\n\t},\n\t\"type\": \"container\"\n}\n");
}

BOOST_AUTO_TEST_CASE(what_was_written_is_read_again) {
    Attributes a;
    a.labels = {{"k", "v"}};
    a.runscript = "#!/bin/sh\necho \"hi\"\\", a.test = "t", a.helpfile = "h", a.deffile = "d", a.startscript = "s";
    a.environment["/e"] = "x";
    a.apps["foo"] = {{{"/a", "b"}}, {{"l", "m"}}, "r", "s", "t", "h"};
    const std::string json = attributes_json(a);
    BOOST_TEST(attributes_json(parse_attributes(json)) == json);
}

BOOST_AUTO_TEST_CASE(unknown_members_and_wrong_types_are_skipped) {
    const Attributes a = parse_attributes(
        R"({"data":{"attributes":{"labels":[1],"runscript":5,"new":{},"apps":{"x":7},"test":"t"}},"v":2})");
    BOOST_TEST(a.labels.empty());
    BOOST_TEST(a.runscript.empty());
    BOOST_TEST(a.apps.empty());
    BOOST_TEST(a.test == "t");
}

BOOST_AUTO_TEST_CASE(what_is_no_record_is_refused) {
    for (const char* json :
         {"", "[]", "{}", "null", R"({"data":5})", R"({"data":{"attributes":[]}})", R"({"data":{"attributes":{}})"})
        BOOST_CHECK_THROW(parse_attributes(json), Error);
    BOOST_CHECK_THROW(parse_attributes(std::string(1 << 20, '[')), Error);
    BOOST_CHECK_THROW(parse_attributes("{\"a\":" + std::string(70, '{')), Error);
}

BOOST_AUTO_TEST_CASE(newlines_at_the_end_are_removed) {
    BOOST_TEST(without_trailing_newlines("a\n\nb\n\r\n") == "a\n\nb");
    BOOST_TEST(without_trailing_newlines("\n") == "");
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_text_do_not_spoil_the_json) {
    BOOST_TEST(valid_utf8("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xae") ==
               "plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xae");
    for (const char* bad :
         {"\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x9f\x90"})
        BOOST_TEST(valid_utf8(bad).find("\xEF\xBF\xBD") == 0u);
    Attributes a;
    a.runscript = "latin \xe9 text";
    BOOST_TEST(parse_attributes(attributes_json(a)).runscript == "latin \xEF\xBF\xBD text");
}

BOOST_AUTO_TEST_SUITE_END()
