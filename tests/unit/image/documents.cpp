// The values of the SDK that image documents are read into: digests, media types, checked JSON.
#include <boost/test/unit_test.hpp>
#include <singularity/digest.hpp>
#include <singularity/json.hpp>
#include <singularity/media_type.hpp>

using singularity::Code;
using singularity::Digest;
using singularity::Error;
namespace json = singularity::json;
namespace media_type = singularity::media_type;

BOOST_AUTO_TEST_SUITE(image_documents)

BOOST_AUTO_TEST_CASE(only_well_formed_digests_are_digests) {
    const std::string hex(64, 'a');
    BOOST_TEST(Digest::try_parse("sha256:" + hex)->hex() == hex);
    BOOST_TEST(Digest::try_parse("sha512:" + hex + hex)->algorithm_name() == "sha512");
    for (const std::string& bad :
         {std::string(), std::string("sha256:"), "sha256" + hex, "sha256:" + hex + "a", "sha256:" + hex.substr(1),
          "SHA256:" + hex, "sha256:" + std::string(64, 'A'), "sha256:../" + hex.substr(3), "sha512:" + hex,
          "md5:" + hex.substr(32), " sha256:" + hex, "sha256:" + hex + "\n", "sha256::" + hex.substr(1)})
        BOOST_TEST(!Digest::try_parse(bad), bad);
    BOOST_CHECK_THROW(Digest::parse("x\ny", "here"), Error);
    try {
        Digest::parse("x\ny", "here");
    } catch (const Error& e) {
        BOOST_TEST(e.message() == "here: \"x?y\" is not a sha256 or sha512 digest");
    }
}

BOOST_AUTO_TEST_CASE(media_types_tell_what_a_blob_is) {
    using media_type::Kind;
    const auto kind = [](std::string_view t) { return static_cast<int>(media_type::kind(media_type::essence(t))); };
    const auto is = [](Kind k) { return static_cast<int>(k); };
    BOOST_TEST(kind("application/vnd.oci.image.index.v1+json") == is(Kind::index));
    BOOST_TEST(kind("application/vnd.docker.distribution.manifest.list.v2+json; charset=utf-8") == is(Kind::index));
    BOOST_TEST(kind("Application/vnd.oci.image.manifest.v1+json") == is(Kind::manifest));
    BOOST_TEST(kind("application/vnd.docker.distribution.manifest.v1+prettyjws") == is(Kind::schema1));
    BOOST_TEST(kind("application/vnd.docker.container.image.v1+json") == is(Kind::config));
    BOOST_TEST(kind("application/vnd.oci.empty.v1+json") == is(Kind::empty));
    for (const char* layer :
         {"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip",
          "application/vnd.oci.image.layer.v1.tar+zstd", "application/vnd.docker.image.rootfs.diff.tar",
          "application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.docker.image.rootfs.diff.tar.zstd",
          "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
          "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"})
        BOOST_TEST(kind(layer) == is(Kind::layer), layer);
    BOOST_TEST(kind("application/vnd.oci.image.layer.v1.tar+gzip+encrypted") == is(Kind::encrypted_layer));
    BOOST_TEST(kind("application/vnd.oci.image.layer.v1.tar+brotli") == is(Kind::other));
    BOOST_TEST(kind("application/vnd.oci.image.layer.v1.tarball") == is(Kind::other));
    BOOST_TEST(kind("") == is(Kind::other));
    BOOST_TEST(media_type::is_foreign_layer("application/vnd.docker.image.rootfs.foreign.diff.tar"));
    BOOST_TEST(!media_type::is_foreign_layer(media_type::oci_layer_gzip));
}

BOOST_AUTO_TEST_CASE(a_json_error_names_the_document_and_the_place) {
    const json::Document d(R"({"a":{"b":[{"c":1},{"c":"x"}],"n":-1,"big":9223372036854775808,"f":1.5}})", "doc");
    const auto message = [](const auto& f) {
        try {
            f();
        } catch (const Error& e) {
            return e.message();
        }
        return std::string("none");
    };
    const json::Value a = d.root()["a"];
    BOOST_TEST(message([&] { (void)a["b"].list()[0]["c"].text(); }) == "doc: a.b[0].c is not a string");
    BOOST_TEST(message([&] { (void)a["b"].list()[1]["d"].text(); }) == "doc: a.b[1].d is missing");
    BOOST_TEST(message([&] { (void)d.root()["x"]["y"].text(); }) == "doc: y is missing");
    BOOST_TEST(message([&] { (void)a["n"].size(); }) == "doc: a.n is negative");
    BOOST_TEST(message([&] { (void)a["big"].integer(); }) == "doc: a.big is not a whole number in range");
    BOOST_TEST(message([&] { (void)a["f"].integer(); }) == "doc: a.f is not a whole number in range");
    BOOST_TEST(message([&] { (void)a["n"]["x"]; }) == "doc: a.n is not an object");
    BOOST_TEST(a["b"].list()[1]["c"].text() == "x");
    BOOST_TEST(a["b"].dump() == R"([{"c":1},{"c":"x"}])");
}

BOOST_AUTO_TEST_SUITE_END()
