#include "fetch/source_uri.hpp"

#include <boost/test/unit_test.hpp>

namespace {
bool known(std::string_view s) { return s == "oci" || s == "docker-archive"; }
}  // namespace

BOOST_AUTO_TEST_CASE(both_forms_of_a_uri_are_the_same) {
    for (const char* text : {"docker-archive://dir/x.tar", "docker-archive:dir/x.tar", "Docker-Archive:dir/x.tar"}) {
        const auto u = sg::read_uri(text, known);
        BOOST_CHECK_EQUAL(u.scheme, "docker-archive");
        BOOST_CHECK_EQUAL(u.reference, "dir/x.tar");
    }
}

BOOST_AUTO_TEST_CASE(a_path_from_the_root_keeps_its_slash) {
    BOOST_CHECK_EQUAL(sg::read_uri("oci:///a/b:tag", known).reference, "/a/b:tag");
    BOOST_CHECK_EQUAL(sg::read_uri("oci:/a/b:tag", known).reference, "/a/b:tag");
}

BOOST_AUTO_TEST_CASE(a_path_has_no_scheme) {
    for (const char* text : {"x.sif", "./a:b", "/a:b", "dir/c:d", "", ":x", "1a:b"})
        BOOST_CHECK_MESSAGE(sg::read_uri(text, known).scheme.empty(), text);
}

BOOST_AUTO_TEST_CASE(an_unknown_scheme_stays_one_unless_such_a_file_exists) {
    BOOST_CHECK_EQUAL(sg::read_uri("dokcer://x", known).scheme, "dokcer");
    BOOST_CHECK_EQUAL(sg::read_uri("/proc/self", known).scheme, "");
}
