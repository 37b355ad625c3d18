// Manifests and indexes: which bodies are read, and which are refused.
#include "family/manifest.hpp"

#include "source_fixture.hpp"

using namespace sources;
using fixture::contains;
using fixture::error_of;

namespace {

const std::string hex_a(64, 'a'), hex_b(64, 'b');
const std::string oci_manifest(singularity::media_type::oci_manifest), oci_index(singularity::media_type::oci_index);

std::string descriptor(const std::string& type, const std::string& hex, const std::string& more = {}) {
    return R"({"mediaType":")" + type + R"(","digest":"sha256:)" + hex + R"(","size":7)" + more + "}";
}
std::string manifest(const std::string& config_type, const std::string& layer_type, const std::string& more = {}) {
    return R"({"schemaVersion":2,"config":)" + descriptor(config_type, hex_a) + R"(,"layers":[)" +
           descriptor(layer_type, hex_b) + "]" + more + "}";
}
const std::string config_type = "application/vnd.oci.image.config.v1+json",
                  layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";

std::string file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Error refused(const std::string& body, const std::string& declared = {}) {
    return error_of([&] {
        auto b = parse_body(body, declared, "X");
        if (auto* m = std::get_if<ImageManifest>(&b)) require_image(*m, "X");
    });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(manifests)

BOOST_AUTO_TEST_CASE(a_manifest_gives_its_config_and_layers) {
    const auto body = parse_body(manifest(config_type, layer_type), "", "X");
    const auto& m = std::get<ImageManifest>(body);
    BOOST_TEST(m.config.digest.hex() == hex_a);
    BOOST_TEST(m.layers.at(0).size == 7u);
    BOOST_CHECK_NO_THROW(require_image(m, "X"));
}

BOOST_AUTO_TEST_CASE(a_body_that_could_be_both_kinds_is_refused) {
    const std::string both =
        R"({"schemaVersion":2,"manifests":[],"layers":[],"config":)" + descriptor(config_type, hex_a) + "}";
    BOOST_TEST(contains(refused(both).message(), "ambiguous"));
    BOOST_TEST(contains(refused(both, oci_manifest).message(), "ambiguous"));
    BOOST_TEST(contains(refused(R"({"schemaVersion":2,"manifests":[],"config":{}})").message(), "ambiguous"));
    BOOST_TEST(contains(refused(R"({"schemaVersion":1,"fsLayers":[],"layers":[]})").message(), "ambiguous"));
}

BOOST_AUTO_TEST_CASE(a_type_that_contradicts_the_listing_is_refused) {
    BOOST_TEST(contains(
        refused(manifest(config_type, layer_type, R"(,"mediaType":")" + oci_index + "\""), oci_manifest).message(),
        "listed as"));
    BOOST_TEST(contains(refused(manifest(config_type, layer_type), oci_index).message(), "is listed as an index"));
    BOOST_TEST(
        contains(refused(R"({"schemaVersion":2,"manifests":[]})", oci_manifest).message(), "is listed as a manifest"));
}

BOOST_AUTO_TEST_CASE(schema_1_is_refused_with_a_way_out) {
    for (const std::string& body :
         {std::string(R"({"schemaVersion":1,"fsLayers":[{"blobSum":"x"}]})"), std::string(R"({"schemaVersion":1})")}) {
        const Error e = refused(body);
        BOOST_TEST(contains(e.message(), "schema 1"));
        BOOST_TEST(!e.hint().empty());
        BOOST_TEST((e.code() == Code::unsupported));
    }
    BOOST_TEST(
        contains(refused("{}", "application/vnd.docker.distribution.manifest.v1+prettyjws").message(), "schema 1"));
    BOOST_TEST(contains(refused(R"({"schemaVersion":3,"layers":[]})").message(), "schema version 3"));
}

BOOST_AUTO_TEST_CASE(what_is_no_image_is_called_by_its_name) {
    BOOST_TEST(contains(refused(manifest("application/vnd.cncf.helm.config.v1+json",
                                         "application/vnd.cncf.helm.chart.content.v1.tar+gzip"))
                            .message(),
                        "artifact of type \"application/vnd.cncf.helm.config.v1+json\": no extractable OCI/Docker tar "
                        "layers found in this image"));
    const Error sif =
        refused(manifest("application/vnd.sylabs.sif.config.v1+json", "application/vnd.sylabs.sif.layer.v1.sif"));
    BOOST_TEST(contains(sif.hint(), "oras://"));
    BOOST_TEST(contains(
        refused(manifest("application/vnd.oci.empty.v1+json", "text/plain", R"(,"artifactType":"application/x-y")"))
            .message(),
        "application/x-y"));
    BOOST_TEST(contains(refused(manifest(config_type, layer_type + "+encrypted")).message(), "is encrypted"));
    BOOST_TEST(contains(refused(R"({"schemaVersion":2,"config":)" + descriptor(config_type, hex_a) + R"(,"layers":[)" +
                                descriptor(layer_type, hex_b) + "," + descriptor("application/x-new", hex_b) + "]}")
                            .message(),
                        "has the unknown type \"application/x-new\""));
}

BOOST_AUTO_TEST_CASE(damaged_descriptors_are_refused_with_their_place) {
    BOOST_TEST(contains(refused(R"({"layers":[],"config":{"digest":"sha256:../../x","size":1}})").message(),
                        "config.digest is \"sha256:../../x\""));
    BOOST_TEST(contains(refused(R"({"layers":[],"config":{"digest":"sha256:)" + hex_a + R"(","size":-1}})").message(),
                        "config.size is negative"));
    BOOST_TEST(contains(refused(R"({"layers":[],"config":{"digest":"sha256:)" + hex_a + R"(","size":1e30}})").message(),
                        "not a whole number"));
    BOOST_TEST(contains(refused(R"({"layers":[],"config":{"digest":"sha256:)" + hex_a + R"("}})").message(),
                        "config.size is missing"));
    BOOST_TEST(contains(refused(R"({"layers":[]})").message(), "config is missing"));
    BOOST_TEST(contains(refused(R"({"layers":{},"config":)" + descriptor(config_type, hex_a) + "}").message(),
                        "layers is not a list"));
    BOOST_TEST(contains(refused(R"({"layers":[3],"config":)" + descriptor(config_type, hex_a) + "}").message(),
                        "layers[0] is not a descriptor"));
    BOOST_TEST(contains(refused("{}").message(), "neither a manifest nor an index"));
    BOOST_TEST(contains(refused("[]").message(), "is not an object"));
    BOOST_TEST(contains(refused("nonsense").message(), "is not JSON"));
    BOOST_TEST(contains(
        refused(R"({"layers":[],"layers":[],"config":)" + descriptor(config_type, hex_a) + "}").message(), "twice"));
}

BOOST_AUTO_TEST_CASE(embedded_content_must_have_its_size) {
    const auto with = [](const std::string& data) {
        return R"({"schemaVersion":2,"manifests":[)" + descriptor("x/y", hex_a, R"(,"data":")" + data + "\"") + "]}";
    };
    BOOST_TEST(*parse_index(with("MTIzNDU2Nw=="), "X").manifests.at(0).data == "1234567");
    for (const char* bad : {"MTIz", "MTIzNDU2Nw", "MTIz NDU2Nw=", "=MTIzNDU2Nw="})
        BOOST_TEST(contains(error_of([&] { (void)parse_index(with(bad), "X"); }).message(), "is damaged"), bad);
}

BOOST_AUTO_TEST_CASE(attestations_are_told_from_images) {
    const auto entry = [](const std::string& more) {
        return parse_index(R"({"manifests":[)" + descriptor("", hex_a, more) + "]}", "X").manifests.at(0);
    };
    BOOST_TEST(entry(R"(,"platform":{"os":"unknown","architecture":"unknown"})").is_attestation());
    BOOST_TEST(entry(R"(,"annotations":{"vnd.docker.reference.type":"attestation-manifest"})").is_attestation());
    BOOST_TEST(!entry(R"(,"platform":{"os":"linux","architecture":"amd64"})").is_attestation());
    BOOST_TEST(!entry("").is_attestation());
}

BOOST_AUTO_TEST_CASE(manifests_of_other_projects_are_told_apart) {
    const std::string data = fixture::shared_data();
    if (data.empty()) return;
    const std::string m = data + "/manifests/";
    for (const char* name :
         {"internal/testdata/ociv1.image.index.json", "internal/testdata/ociv1nomime.image.index.json",
          "internal/testdata/oci1index.json", "internal/testdata/oci1.index.zstd-selection.json",
          "internal/testdata/ocilist-variants.json", "internal/testdata/schema2list-variants.json",
          "internal/testdata/schema2list.json", "internal/testdata/v2list.manifest.json",
          "internal/testdata/oci1.index.everything.json", "internal/testdata/v2list.everything.json"}) {
        BOOST_TEST_CONTEXT(name) {
            const auto body = parse_body(file(m + name), "", name);
            BOOST_REQUIRE(std::holds_alternative<Index>(body));
            BOOST_TEST(!std::get<Index>(body).manifests.empty());
        }
    }
    for (const char* name :
         {"internal/testdata/ociv1.manifest.json", "internal/testdata/ociv1nomime.manifest.json",
          "internal/testdata/v2s2.manifest.json", "image/fixtures/oci1.json",
          "image/fixtures/oci1-all-media-types.json", "image/fixtures/schema2.json",
          "image/fixtures/schema2-all-media-types.json", "image/fixtures/schema2-invalid-media-type.json",
          "manifest/fixtures/ociv1.zstd.manifest.json", "manifest/fixtures/ociv1.uncompressed.manifest.json",
          "manifest/fixtures/ociv1.nondistributable.gzip.manifest.json",
          "manifest/fixtures/ociv1.nondistributable.zstd.manifest.json",
          "manifest/fixtures/v2s2.uncompressed.manifest.json",
          "manifest/fixtures/v2s2.nondistributable.gzip.manifest.json", "manifest/fixtures/v2s2.everything.json"}) {
        BOOST_TEST_CONTEXT(name) {
            const auto body = parse_body(file(m + name), "", name);
            BOOST_REQUIRE(std::holds_alternative<ImageManifest>(body));
            BOOST_CHECK_NO_THROW(require_image(std::get<ImageManifest>(body), name));
        }
    }
    for (const auto& [name, part] : std::vector<std::pair<std::string, std::string>>{
             {"internal/testdata/v2s1.manifest.json", "schema 1"},
             {"internal/testdata/v2s1-unsigned.manifest.json", "schema 1"},
             {"internal/testdata/v2s1-invalid-signatures.manifest.json", "schema 1"},
             {"image/fixtures/schema1.json", "schema 1"},
             {"internal/testdata/schema2-to-schema1-by-docker.json", "schema 1"},
             {"manifest/fixtures/v2s1.everything.json", "schema 1"},
             {"manifest/fixtures/ociv1.everything.json", "artifact of type \"application/our-artifact\""},
             {"internal/testdata/non-json.manifest.json", "is not JSON"},
             {"internal/testdata/unknown-version.manifest.json", "schema version 99999"},
             {"internal/testdata/ociv1.artifact.json", "config.digest is"},
             {"internal/testdata/ociv1nomime.artifact.json", ""},
             {"image/fixtures/oci1-artifact.json", "no extractable"},
             {"image/fixtures/oci1.encrypted.json", "is encrypted"},
             {"manifest/fixtures/ociv1.encrypted.manifest.json", "is encrypted"},
             {"image/fixtures/oci1-invalid-media-type.json", "unknown type"},
             {"manifest/fixtures/ociv1.invalid.mediatype.manifest.json", "unknown type"}}) {
        BOOST_TEST_CONTEXT(name) { BOOST_TEST(contains(refused(file(m + name)).message(), part)); }
    }
}

BOOST_AUTO_TEST_SUITE_END()
