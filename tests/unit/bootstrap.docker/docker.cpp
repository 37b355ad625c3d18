// The source "docker" over the C boundary, on a registry of the test's own.
#include <thread>

#include "bootstrap.registry/fake_registry.hpp"

using namespace fake;
using namespace fixture;

namespace {

fixture::Source& source() {
    static fixture::Source s(PLUGIN_OBJECT, "docker");
    return s;
}

std::string descriptor(const std::string& type, const std::string& bytes, const std::string& more = {}) {
    return R"({"mediaType":")" + type + R"(","digest":")" + sha256(bytes) + R"(","size":)" + std::to_string(bytes.size()) + more + "}";
}

// A registry that serves one repository, lab/x of r.org.
struct Registry : World {
    std::map<std::string, std::pair<std::string, std::string>> manifests;  // reference -> type, bytes
    std::map<std::string, std::string> blobs;

    Registry() {
        answer = [this](const Seen& s) -> Reply {
            const std::string path = s.path(), last = path.substr(path.rfind('/') + 1);
            if (path.find("/manifests/") != std::string::npos && manifests.count(last)) {
                const auto& [type, bytes] = manifests[last];
                return {200, s.method == "HEAD" ? "" : bytes, {{"Content-Type", type}, {"Docker-Content-Digest", sha256(bytes)}}};
            }
            if (path.find("/blobs/") != std::string::npos && blobs.count(last)) return {200, blobs[last], {}};
            return {404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})", {}};
        };
    }
    std::string blob(const std::string& bytes) {
        blobs[sha256(bytes)] = bytes;
        return bytes;
    }
    std::string image(const std::vector<std::string>& contents, const std::string& arch = "amd64", size_t ids_less = 0) {
        std::string ids, list;
        for (size_t i = 0; i < contents.size(); ++i) {
            if (i + ids_less < contents.size()) ids += (ids.empty() ? "\"" : ",\"") + sha256(contents[i]) + "\"";
            list += (list.empty() ? "" : ",") + descriptor("application/vnd.oci.image.layer.v1.tar", blob(contents[i]));
        }
        const std::string config = blob(R"({"architecture":")" + arch + R"(","os":"linux","rootfs":{"type":"layers","diff_ids":[)" + ids + "]}}");
        const std::string m = R"({"schemaVersion":2,"config":)" + descriptor("application/vnd.oci.image.config.v1+json", config) +
                              R"(,"layers":[)" + list + "]}";
        put(sha256(m), m);
        return m;
    }
    void put(const std::string& reference, const std::string& bytes, const std::string& type = "application/vnd.oci.image.manifest.v1+json") {
        manifests[reference] = {type, bytes};
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(docker_registries)

BOOST_AUTO_TEST_CASE(an_image_is_resolved_and_read) {
    Registry r;
    const std::string m = r.image({a_layer("one"), a_layer("two")});
    r.put("latest", m);
    const Id id = source().resolve("r.org/lab/x");
    BOOST_TEST(id.key == sha256(m) + "+linux/amd64");
    BOOST_TEST(id.name == "x_latest.sif");
    BOOST_TEST(id.cache_area == "oci-tmp");
    BOOST_TEST(seen.size() == 1u);
    BOOST_TEST(seen[0].method == "HEAD");
    const Read read = source().read("r.org/lab/x");
    BOOST_TEST(!read.sequential);
    BOOST_TEST(read.manifest == m);
    BOOST_REQUIRE(read.layers.size() == 2u);
    BOOST_TEST(read.layers[1].bytes == a_layer("two"));
    check_digests(read);
}

BOOST_AUTO_TEST_CASE(platforms_of_one_tag_have_keys_of_their_own) {
    Registry r;
    const std::string a = r.image({a_layer("a")}), b = r.image({a_layer("b")}, "arm64");
    const std::string index =
        R"({"schemaVersion":2,"manifests":[)" +
        descriptor("application/vnd.oci.image.manifest.v1+json", a, R"(,"platform":{"os":"linux","architecture":"amd64"})") + "," +
        descriptor("application/vnd.oci.image.manifest.v1+json", b, R"(,"platform":{"os":"linux","architecture":"arm64"})") + "]}";
    for (const auto& m : {a, b}) r.put(sha256(m), m);
    for (const auto& name : {std::string("latest"), sha256(index)}) r.put(name, index, "application/vnd.oci.image.index.v1+json");
    Wish arm;
    arm.arch = "arm64";
    arm.named = true;
    BOOST_TEST(source().resolve("r.org/lab/x").key != source().resolve("r.org/lab/x", arm).key);
    BOOST_TEST(source().read("r.org/lab/x", arm).manifest == b);
    BOOST_TEST(source().read("r.org/lab/x").manifest == a);
    // One image alone that is for another machine: refused when asked for, else a warning.
    r.put("arm", b);
    source().read("r.org/lab/x:arm");
    BOOST_TEST(!r.silent_about("architecture"));
    r.put("amd", a);
    BOOST_TEST(contains(error_of([&] { source().read("r.org/lab/x:amd", arm); }).message(), "not the one asked for"));
}

BOOST_AUTO_TEST_CASE(layers_are_read_several_at_a_time) {
    Registry r;
    std::vector<std::string> contents;
    for (int i = 0; i < 8; ++i) contents.push_back(a_layer(std::string(100000, static_cast<char>('a' + i))));
    r.put("latest", r.image(contents));
    source().resolve("r.org/lab/x");  // what an earlier case found out is forgotten
    const auto image = source().open("r.org/lab/x");
    std::vector<std::thread> threads;
    std::atomic<int> right{0};
    for (uint64_t i = 0; i < contents.size(); ++i)
        threads.emplace_back([&, i] {
            sg_stream* stream = nullptr;
            if (image->layers->layer(image.get(), i, a_call(), &stream, nullptr) == SG_OK && drain(stream) == contents[i]) ++right;
        });
    for (auto& t : threads) t.join();
    BOOST_TEST(right == 8);
}

BOOST_AUTO_TEST_CASE(images_that_contradict_themselves_are_refused) {
    Registry r;
    r.put("ids", r.image({a_layer("one"), a_layer("two")}, "amd64", 1));
    BOOST_TEST(contains(error_of([&] { source().open("r.org/lab/x:ids"); }).message(), "2 layers and the config 1 diff_ids"));
    const std::string artifact = R"({"schemaVersion":2,"config":)" + descriptor("application/vnd.sylabs.sif.config.v1+json", "{}") +
                                 R"(,"layers":[)" + descriptor("application/vnd.sylabs.sif.layer.v1.sif", "x") + "]}";
    r.put("sif", artifact);
    const Error e = error_of([&] { source().open("r.org/lab/x:sif"); });
    BOOST_TEST(contains(e.hint(), "oras://"));
    std::string m = r.image({a_layer("one")});
    r.put("config", m);
    r.blobs[sha256(r.blobs.begin()->second)] = "other bytes";
    for (auto& [digest, bytes] : r.blobs) bytes += " ";
    error_of([&] { source().open("r.org/lab/x:config"); });
}

BOOST_AUTO_TEST_CASE(references_that_are_none_are_refused_before_any_request) {
    Registry r;
    for (const char* bad : {"", "Upper/Case", "r.org/lab/x:", "r.org/lab/x@sha256:12", "r.org/../x", "r.org/lab/x:tag@", "a b", "r.org:port/x"}) {
        BOOST_TEST((error_of([&] { source().resolve(bad); }).code() == Code::invalid), bad);
    }
    BOOST_TEST(seen.empty());
}

BOOST_AUTO_TEST_SUITE_END()
