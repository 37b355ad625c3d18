#include "reference.hpp"

#include <boost/test/unit_test.hpp>
#include <singularity/error.hpp>

using docker_daemon::parse_engine_reference;
using singularity::Error;

namespace {
const std::string hex(64, 'a');
}

BOOST_AUTO_TEST_CASE(names_with_tag_or_digest_and_ids_are_taken) {
    BOOST_TEST(parse_engine_reference("lolcow:latest").name == "lolcow:latest");
    BOOST_TEST(parse_engine_reference("lolcow:latest").file_name == "lolcow_latest.sif");
    BOOST_TEST(parse_engine_reference("godlovedc/lolcow:2").file_name == "lolcow_2.sif");
    BOOST_TEST(parse_engine_reference("host:5000/lab/tool:1.0").file_name == "tool_1.0.sif");
    BOOST_TEST(parse_engine_reference("lab/tool@sha256:" + hex).file_name == "tool_sha256." + hex + ".sif");
    BOOST_TEST(parse_engine_reference("host:5000/lab/tool:1@sha256:" + hex).name == "host:5000/lab/tool@sha256:" + hex);
    BOOST_TEST(parse_engine_reference("sha256:" + hex).is_id);
}

BOOST_AUTO_TEST_CASE(a_bare_name_is_refused_with_the_tag_that_it_needs) {
    for (const char* bare : {"lolcow", "godlovedc/lolcow", "host:5000/lab/tool"}) try {
            parse_engine_reference(bare);
            BOOST_ERROR("no error");
        } catch (const Error& e) {
            BOOST_TEST(e.message().find("neither a tag nor a digest") != std::string::npos);
            BOOST_TEST(e.hint().find(std::string(bare) + ":latest") != std::string::npos);
        }
}

BOOST_AUTO_TEST_CASE(what_is_no_name_is_refused) {
    for (const std::string& bad : {std::string(), std::string("sha256:123"), std::string("sha256:latest"), std::string("Lolcow:latest"), std::string("a b:c"),
                                   std::string("../x:1"), std::string("x:1/../y"), "x@sha256:" + hex + "0"})
        BOOST_CHECK_THROW(parse_engine_reference(bad), Error);
}
