#include "lookup/source_uri.hpp"

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

BOOST_AUTO_TEST_CASE(passwords_and_tokens_are_not_shown) {
    BOOST_CHECK_EQUAL(sg::shown_uri("https://me:secret@host:8443/x.sif?token=secret"), "https://host:8443/x.sif?...");
    BOOST_CHECK_EQUAL(sg::shown_uri("https://me:sec@ret@host/a@b:c"), "https://host/a@b:c");
    const std::string digest = "sha256:" + std::string(64, 'a');
    for (const std::string& text : {"docker://alpine:3.18@" + digest, "docker://host:5000/x:1@" + digest, std::string("oci:a:b@0"),
                                    std::string("docker://alpine:3.18"), std::string("https://me@host/x"), std::string("x.sif")})
        BOOST_CHECK_EQUAL(sg::shown_uri(text), text);
}

BOOST_AUTO_TEST_CASE(what_is_shown_holds_no_password) {
    BOOST_CHECK_EQUAL(sg::without_secret("https://user:p%40ss@host:8/path@x"), "https://host:8/path@x");
    BOOST_CHECK_EQUAL(sg::without_secret("user:pass@host/path"), "host/path");
    BOOST_CHECK_EQUAL(sg::without_secret("https://host/path"), "https://host/path");
    // A host may begin as a digest does.
    BOOST_CHECK_EQUAL(sg::without_secret("https://user:secret@shared.org:8443/x"), "https://shared.org:8443/x");
    BOOST_CHECK_EQUAL(sg::without_secret("user:secret@sha256:8443/x"), "sha256:8443/x");
    // A token may stand where a user does.
    BOOST_CHECK_EQUAL(sg::without_secret("https://token@host.org/x"), "https://host.org/x");
    const std::string hex(64, 'a');
    // Digests and numbers of images are no hosts.
    for (const std::string& text : {"docker://name@sha256:" + hex, "name:1@sha256:" + hex, std::string("oci:dir:tag"), std::string("/a@b/c"), std::string(),
                                    std::string("oci:dir@0"), std::string("dir:tag@0"), std::string("images.tar:@1"), std::string("docker-archive://a.tar:@12")})
        BOOST_CHECK_EQUAL(sg::without_secret(text), text);
}
