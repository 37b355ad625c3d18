// Labels of images, and those that builds add.
#include "metadata/labels.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"

using namespace sg;

BOOST_AUTO_TEST_SUITE(labels)

BOOST_AUTO_TEST_CASE(the_build_date_has_no_leading_zeros) {
    BOOST_TEST(build_date(1544117389) == "Thursday_6_December_2018_17:29:49_UTC");
    BOOST_TEST(build_date(1548547529) == "Sunday_27_January_2019_0:5:29_UTC");
    BOOST_TEST(build_date(0) == "Thursday_1_January_1970_0:0:0_UTC");
    BOOST_TEST(build_date(-1) == "Wednesday_31_December_1969_23:59:59_UTC");
    BOOST_CHECK_THROW(build_date(INT64_MAX), Error);
}

BOOST_AUTO_TEST_CASE(labels_json_is_sorted_and_indented_by_tabs) {
    BOOST_TEST(labels_json({{"b", "2"}, {"a", "1"}}) == "{\n\t\"a\": \"1\",\n\t\"b\": \"2\"\n}\n");
    BOOST_TEST(labels_json({{"a", "1"}}, "    ") == "{\n    \"a\": \"1\"\n}\n");
    BOOST_TEST(labels_json({}) == "{}\n");
    BOOST_TEST(labels_json({{"k\"", "a\nb\x01\xff"}}) == "{\n\t\"k\\\"\": \"a\\nb\\u0001\xEF\xBF\xBD\"\n}\n");
}

BOOST_AUTO_TEST_CASE(labels_json_is_read_again) {
    const Labels all{{"a", "1"}, {"e\xc3\xa9", "x\ny"}};
    BOOST_TEST((parse_labels(labels_json(all)) == all));
    // "b\xc3" sorts before "b\xc3\xa9" as bytes, and behind it once it is text.
    const std::string odd = labels_json(parse_labels("{\"b\xc3\": \"1\", \"b\\u00e9\": \"2\"}"));
    BOOST_TEST(labels_json(parse_labels(odd)) == odd);
    BOOST_TEST(parse_labels("").empty());
    BOOST_TEST(parse_labels(" \n").empty());
    BOOST_TEST(parse_labels("null").empty());
    BOOST_TEST(parse_labels("{\"n\": 5, \"t\": true, \"l\": [1]}")["l"] == "[1]");
    BOOST_CHECK_THROW(parse_labels("[]"), Error);
    BOOST_CHECK_THROW(parse_labels("{\"a\""), Error);
    BOOST_CHECK_THROW(parse_labels(std::string(100000, '[')), Error);
}

BOOST_AUTO_TEST_CASE(a_build_records_itself) {
    Labels all{{"maintainer", "me"},
               {"org.label-schema.build-date", "old"},
               {"org.label-schema.usage.singularity.deffile.from", "older"}};
    add_build_labels(all, {{"Bootstrap", "docker-archive"}, {"From", "lolcow.tar"}, {"namespace", ""}}, "arm64",
                     1544117389, "4.0.0");
    BOOST_TEST((all == Labels{{"maintainer", "me"},
                              {"org.label-schema.schema-version", "1.0"},
                              {"org.label-schema.build-date", "Thursday_6_December_2018_17:29:49_UTC"},
                              {"org.label-schema.build-arch", "arm64"},
                              {"org.label-schema.usage.singularity.version", "4.0.0"},
                              {"org.label-schema.usage.singularity.deffile.bootstrap", "docker-archive"},
                              {"org.label-schema.usage.singularity.deffile.from", "lolcow.tar"}}));
}

BOOST_AUTO_TEST_CASE(without_a_time_there_is_no_build_date) {
    Labels all{{"org.label-schema.build-date", "of the base"}};
    add_build_labels(all, {}, "amd64", std::nullopt, "4.0.0");
    BOOST_TEST(all.count("org.label-schema.build-date") == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
