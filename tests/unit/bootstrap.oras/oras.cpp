// The source "oras" and its publishing side over the C boundary.
#include "bootstrap.registry/fake_registry.hpp"

using namespace fake;
using namespace fixture;

namespace {

fixture::Source& source() {
    static fixture::Source s(PLUGIN_OBJECT, "oras");
    return s;
}
const sg_publish_v1& publisher() {
    static const sg_publish_v1& t = load<sg_publish_v1>(PLUGIN_OBJECT, "oras", "publish");
    return t;
}

const std::string sif_type = "application/vnd.sylabs.sif.layer.v1.sif";

std::string manifest_of(const std::vector<std::pair<std::string, std::string>>& layers) {
    std::string list;
    for (const auto& [type, bytes] : layers)
        list += (list.empty() ? "" : ",") + (R"({"mediaType":")" + type + R"(","size":)" + std::to_string(bytes.size()) + R"(,"digest":")" + sha256(bytes) + "\"}");
    return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.sylabs.sif.config.v1+json","size":2,"digest":")" +
           sha256("{}") + R"("},"layers":[)" + list + "]}";
}

// A registry that keeps what it is given.
struct Registry : World {
    std::map<std::string, std::string> manifests, blobs;
    Registry() {
        answer = [this](const Seen& s) -> Reply {
            const std::string path = s.path(), last = path.substr(path.rfind('/') + 1);
            if (s.method == "POST") return {202, "", {{"Location", "/v2/lab/x/blobs/uploads/1"}}};
            if (s.method == "PUT" && contains(path, "/uploads/")) {
                blobs[sha256(s.body)] = s.body;
                return {201, "", {}};
            }
            if (s.method == "PUT") {
                manifests[last] = s.body;
                return {201, "", {}};
            }
            auto& from = path.find("/blobs/") != std::string::npos ? blobs : manifests;
            if (!from.count(last)) return {404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})", {}};
            return {s.range_begin > 0 ? 206u : 200u, s.method == "HEAD" ? "" : from[last].substr(s.range_begin), {{"Content-Type", "application/vnd.oci.image.manifest.v1+json"}}};
        };
    }
    void put(const std::string& tag, const std::string& m) { manifests[tag] = manifests[sha256(m)] = m; }
};

std::string publish(const std::string& path, const std::string& reference, std::vector<std::pair<std::string, std::string>> options = {}) {
    std::vector<sg_pair> pairs;
    for (const auto& [k, v] : options) pairs.push_back({k.c_str(), v.c_str()});
    pairs.push_back({nullptr, nullptr});
    const sg_source_spec spec{"oras", reference.c_str(), "/", "amd64", "", 0, pairs.data()};
    char where[256] = "";
    singularity::check([&](sg_error* e) { return publisher().publish(&spec, path.c_str(), a_call(), where, sizeof where, e); });
    return where;
}

std::string a_sif(const std::string& more = "content") {
    std::string out = "#!/usr/bin/env run-singularity\n";
    out.resize(32);
    return out + std::string("SIF_MAGIC\0", 10) + std::string(100, '\0') + more;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sif_files_in_registries)

BOOST_AUTO_TEST_CASE(a_sif_is_resolved_by_its_own_digest_and_read_from_any_place) {
    Registry r;
    const std::string sif = a_sif();
    r.put("v1", manifest_of({{sif_type, sif}}));
    r.blobs[sha256(sif)] = sif;
    const Id id = source().resolve("r.org/lab/x:v1");
    BOOST_TEST(id.key == sha256(sif));
    BOOST_TEST(id.name == "x_v1.sif");
    BOOST_TEST(id.cache_area == "oras");
    const auto image = source().open("r.org/lab/x:v1");
    BOOST_REQUIRE(image->kind == SG_BLOB);
    BOOST_TEST(!r.silent_about("Digest: " + sha256(r.manifests["v1"])));
    sg_blob b{};
    image->blob(image.get(), &b, nullptr);
    BOOST_TEST(b.digest == sha256(sif));
    BOOST_TEST(b.size == sif.size());
    for (const uint64_t offset : {UINT64_C(0), UINT64_C(40), uint64_t(sif.size())}) {
        sg_stream* stream = nullptr;
        sg_error err{};
        BOOST_REQUIRE_MESSAGE(image->fetch(image.get(), offset, a_call(), &stream, &err) == SG_OK, offset << ": " << err.message);
        BOOST_TEST((drain(stream) == sif.substr(offset)));
    }
    // The type that was misspelt before 3.7.
    r.put("old", manifest_of({{"appliciation/vnd.sylabs.sif.layer.tar", sif}}));
    BOOST_TEST(source().resolve("r.org/lab/x:old").key == sha256(sif));
}

BOOST_AUTO_TEST_CASE(other_artifacts_are_refused) {
    Registry r;
    r.put("two", manifest_of({{sif_type, "a"}, {sif_type, "b"}}));
    r.put("none", manifest_of({}));
    r.put("chart", manifest_of({{"application/vnd.cncf.helm.chart.content.v1.tar+gzip", "a"}}));
    r.put("image", manifest_of({{"application/vnd.oci.image.layer.v1.tar+gzip", "a"}}));
    BOOST_TEST(contains(error_of([] { source().resolve("r.org/lab/x:two"); }).message(), "ORAS SIF image should have a single layer, found 2"));
    BOOST_TEST(contains(error_of([] { source().resolve("r.org/lab/x:none"); }).message(), "found 0"));
    BOOST_TEST(contains(error_of([] { source().resolve("r.org/lab/x:chart"); }).message(), "invalid layer mediatype"));
    BOOST_TEST(contains(error_of([] { source().resolve("r.org/lab/x:image"); }).hint(), "docker://"));
}

BOOST_AUTO_TEST_CASE(what_is_pushed_is_what_apptainer_would_push) {
    Registry r;
    const Scratch dir;
    const std::string sif = a_sif(std::string(300000, 'x'));
    const std::string path = dir.write("lol \"cow\".sif", sif);
    BOOST_TEST(publish(path, "r.org/lab/x:v1", {{"annotation", "b=<2>"}, {"annotation", "a=x=y"}}) == "r.org/lab/x:v1");
    BOOST_TEST((r.blobs[sha256(sif)] == sif));
    BOOST_TEST(r.blobs[sha256("{}")] == "{}");
    BOOST_TEST(r.manifests["v1"] ==
               R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.sylabs.sif.config.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","data":"e30="},"layers":[{"mediaType":"application/vnd.sylabs.sif.layer.v1.sif","size":)" +
                   std::to_string(sif.size()) + R"(,"digest":")" + sha256(sif) +
                   R"(","annotations":{"org.opencontainers.image.title":"lol \"cow\".sif"}}],"annotations":{"a":"x=y","b":"\u003c2\u003e"}})");
    r.put("v1", r.manifests["v1"]);
    BOOST_TEST(source().resolve("r.org/lab/x:v1").key == sha256(sif));
    BOOST_TEST(publish(path, "r.org/lab/x") == "r.org/lab/x:latest");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_pushed_is_refused_before_any_request) {
    Registry r;
    const Scratch dir;
    const std::string sif = dir.write("x.sif", a_sif());
    BOOST_TEST(contains(error_of([&] { publish(dir.write("text", "no image"), "r.org/lab/x"); }).message(), "is not a SIF"));
    BOOST_TEST((error_of([&] { publish(dir.path() + "/none", "r.org/lab/x"); }).code() == Code::not_found));
    BOOST_TEST((error_of([&] { publish(dir.path(), "r.org/lab/x"); }).code() == Code::invalid));
    BOOST_TEST((error_of([&] { publish(sif, "r.org/lab/x@" + sha256("")); }).code() == Code::usage));
    BOOST_TEST((error_of([&] { publish(sif, "r.org/lab/x", {{"annotation", "no value"}}); }).code() == Code::usage));
    BOOST_TEST(seen.empty());
}

BOOST_AUTO_TEST_SUITE_END()
