#include "image/oci_manifest.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"

BOOST_AUTO_TEST_CASE(dockers_types_become_ocis_and_all_else_stays) {
    const std::string docker =
        R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",)"
        R"("config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":7,"digest":"sha256:c"},)"
        R"("layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":8,"digest":"sha256:a"},)"
        R"({"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","size":9,"digest":"sha256:b","urls":["https://x/y"]},)"
        R"({"mediaType":"application/vnd.docker.image.rootfs.diff.tar","size":9,"digest":"sha256:d"},)"
        R"({"mediaType":"application/vnd.docker.image.rootfs.diff.tar.zstd","size":9,"digest":"sha256:e"}]})";
    const std::string oci =
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
        R"("config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":7,"digest":"sha256:c"},)"
        R"("layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":8,"digest":"sha256:a"},)"
        R"({"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip","size":9,"digest":"sha256:b","urls":["https://x/y"]},)"
        R"({"mediaType":"application/vnd.oci.image.layer.v1.tar","size":9,"digest":"sha256:d"},)"
        R"({"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","size":9,"digest":"sha256:e"}]})";
    BOOST_CHECK_EQUAL(sg::as_oci_manifest(docker), oci);
}

BOOST_AUTO_TEST_CASE(an_oci_manifest_stays_byte_for_byte) {
    const std::string oci = R"({ "schemaVersion" : 2, "layers" : [ { "mediaType":"application/vnd.oci.image.layer.v1.tar", "size": 1, "digest":"sha256:a" } ],
        "config" : {"mediaType":"application/vnd.oci.image.config.v1+json"}, "annotations": {"a":"b"} })";
    BOOST_CHECK_EQUAL(sg::as_oci_manifest(oci), oci);
}

BOOST_AUTO_TEST_CASE(what_is_no_manifest_is_refused) {
    for (const char* text : {"", "[]", "{\"layers\":{}}", "<html>"}) BOOST_CHECK_THROW(sg::as_oci_manifest(text), sg::Error);
}
