// The source "docker-archive" as the host sees it: the layouts of Docker old and new, of podman, and damaged ones.
#include "bootstrap.family/source_fixture.hpp"

using namespace fixture;

namespace {

Source& source() {
    static Source s(PLUGIN_OBJECT, "docker-archive");
    return s;
}

std::string quoted(const std::vector<std::string>& list) {
    std::string out;
    for (const auto& t : list) out += (out.empty() ? "\"" : ",\"") + t + "\"";
    return "[" + out + "]";
}
std::string item(const std::string& config, const std::vector<std::string>& tags,
                 const std::vector<std::string>& layers, const std::string& more = {}) {
    return R"({"Config":")" + config + R"(","RepoTags":)" + (tags.empty() ? "null" : quoted(tags)) + R"(,"Layers":)" +
           quoted(layers) + more + "}";
}
std::string config_of(const std::vector<std::string>& layers, const std::string& arch = "amd64") {
    std::vector<std::string> ids;
    for (const auto& l : layers) ids.push_back(sha256(l));
    return R"({"architecture":")" + arch + R"(","os":"linux","rootfs":{"type":"layers","diff_ids":)" + quoted(ids) +
           "}}";
}

// What Docker up to 24 writes, the third layer a link to the first.
struct Old {
    std::vector<std::string> layers{a_layer("one"), a_layer("two"), a_layer("one")};
    std::string config = config_of(layers);
    std::string bytes() const {
        return tar_member("c.json", config) + tar_member("l1/VERSION", "1.0") + tar_member("l1/json", "{}") +
               tar_member("l1/layer.tar", layers[0]) + tar_member("l2/layer.tar", layers[1]) +
               tar_member("l3/layer.tar", "", '2', "../l1/layer.tar") +
               tar_member("manifest.json", "[" +
                                               item("c.json", {"lab/lolcow:latest", "lab/other:2"},
                                                    {"l1/layer.tar", "l2/layer.tar", "l3/layer.tar"}) +
                                               "]") +
               tar_member("repositories", "{}") + tar_end();
    }
};

void is(const Read& r, const std::string& config, const std::vector<std::string>& layers) {
    check_digests(r);
    BOOST_TEST(r.config == config);
    BOOST_TEST(r.manifest.empty());
    BOOST_REQUIRE(r.layers.size() == layers.size());
    for (size_t i = 0; i < layers.size(); ++i) {
        BOOST_TEST((r.layers[i].bytes == layers[i]));
        BOOST_TEST(r.layers[i].diff_id == sha256(layers[i]));
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(docker_archives)

BOOST_AUTO_TEST_CASE(the_layout_of_old_docker_is_read_with_links_between_layers) {
    const Old old;
    const Scratch dir;
    const std::string path = dir.write("x.tar", old.bytes());
    for (const char* ref : {"", ":lab/lolcow", ":lab/lolcow:latest", ":docker.io/lab/other:2", ":@0"}) {
        const Read r = source().read(path + ref);
        BOOST_TEST(!r.sequential);
        is(r, old.config, old.layers);
    }
    const Id id = source().resolve(path);
    BOOST_TEST(id.key == sha256(old.config));
    BOOST_TEST(id.name == "lolcow_latest.sif");
    BOOST_TEST(id.cache_area == "oci-tmp");
    BOOST_TEST(source().resolve(path + ":lab/other:2").name == "other_2.sif");
}

BOOST_AUTO_TEST_CASE(a_compressed_archive_is_read_once_links_and_all) {
    const Old old;
    const Scratch dir;
    for (const char* program : {"gzip", "xz", "zstd", "bzip2"}) {
        const std::string packed = compress(program, old.bytes());
        if (packed.empty()) {
            BOOST_TEST_MESSAGE("skipped: no " << program);
            continue;
        }
        const std::string path = dir.write("x.tar.packed", packed);
        const Read r = source().read(path + ":lab/lolcow");
        BOOST_TEST(r.sequential);
        is(r, old.config, old.layers);
        BOOST_TEST(r.part_keys == (std::vector<std::string>{"l1/layer.tar", "l2/layer.tar"}),
                   boost::test_tools::per_element());
        BOOST_TEST(source().resolve(path).key == "");
    }
}

BOOST_AUTO_TEST_CASE(the_layout_of_docker_25_names_layers_by_digest) {
    const Scratch dir;
    const std::string layer = a_layer("x"), packed = compress("gzip", layer), config = config_of({layer});
    const std::string config_name = "blobs/sha256/" + sha256(config).substr(7),
                      layer_name = "blobs/sha256/" + sha256(packed).substr(7);
    const std::string sources =
        R"(,"LayerSources":{")" + sha256(layer) +
        R"(":{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"x","size":1}})";
    const std::string bytes =
        tar_member("blobs/", "", '5') + tar_member(layer_name, packed) + tar_member(config_name, config) +
        tar_member("index.json", R"({"schemaVersion":2,"manifests":null})") +
        tar_member("manifest.json", "[" + item(config_name, {"x:1"}, {layer_name}, sources) + "]") + tar_end();
    for (const std::string& form : {bytes, compress("zstd", bytes)}) {
        if (form.empty()) continue;
        const Read r = source().read(dir.write("x.tar", form));
        check_digests(r);
        BOOST_REQUIRE(r.layers.size() == 1u);
        BOOST_TEST(r.layers[0].digest == sha256(packed));
        BOOST_TEST(r.layers[0].diff_id == sha256(layer));
        BOOST_TEST(r.layers[0].media_type == "application/vnd.oci.image.layer.v1.tar+gzip");
    }
    // A config that does not match the digest it is named by.
    std::string damaged = bytes;
    damaged[damaged.find("\"linux\"") + 1] = 'L';
    BOOST_TEST(
        contains(error_of([&] { source().open(dir.write("y.tar", damaged)); }).message(), "do not match their digest"));
}

BOOST_AUTO_TEST_CASE(several_images_need_a_choice) {
    const Scratch dir;
    const std::string a = a_layer("a"), b = a_layer("b");
    const std::string bytes = tar_member("a.json", config_of({a})) + tar_member("b.json", config_of({b})) +
                              tar_member("a.tar", a) + tar_member("b.tar", b) +
                              tar_member("manifest.json", "[" + item("a.json", {"a:1"}, {"a.tar"}) + "," +
                                                              item("b.json", {}, {"b.tar"}) + "]") +
                              tar_end();
    const std::string path = dir.write("x.tar", bytes);
    Error e = error_of([&] { source().open(path); });
    BOOST_TEST(e.message() == "conveyor failed to get: Unexpected tar manifest.json: expected 1 item, got 2");
    BOOST_TEST(contains(e.hint(), "a:1, @1"));
    is(source().read(path + ":a:1"), config_of({a}), {a});
    is(source().read(path + ":@1"), config_of({b}), {b});
    e = error_of([&] { source().open(path + ":a"); });
    BOOST_TEST(contains(e.message(), "Tag \"docker.io/library/a:latest\" not found"));
    BOOST_TEST((e.code() == Code::not_found));
    BOOST_TEST(contains(error_of([&] { source().open(path + ":@2"); }).message(),
                        "Invalid source index @2, only 2 manifest items available"));
    BOOST_TEST(
        contains(error_of([&] { source().open(path + ":@x"); }).message(), "is not a reference into an archive"));
    BOOST_TEST(contains(error_of([&] { source().open(path + ":a@sha256:" + std::string(64, 'a')); }).message(),
                        "does not know digests"));
    BOOST_TEST(contains(error_of([&] { source().open(path + ":Bad Name"); }).message(), "invalid reference"));
}

BOOST_AUTO_TEST_CASE(damaged_archives_say_what_is_wrong) {
    const Scratch dir;
    const std::string a = a_layer("a"), config = config_of({a});
    const auto refuses = [&](const std::string& bytes, const std::string& part) {
        for (const std::string& form : {bytes + tar_end(), compress("gzip", bytes + tar_end())}) {
            const std::string path = dir.write("x.tar", form);
            const Error e = error_of([&] { source().read(path); });
            BOOST_TEST(contains(e.message(), part));
            BOOST_TEST((e.code() != Code::internal));
        }
    };
    const auto manifest = [](const std::string& text) { return tar_member("manifest.json", text); };
    refuses(manifest("null"), "expected 1 item, got 0");
    refuses(manifest("[]"), "expected 1 item, got 0");
    refuses(manifest("{}"), "is not a list");
    refuses(manifest("[1]"), "[0] is not an object");
    refuses(manifest("[{}]"), "Config is missing");
    refuses(manifest(""), "is empty");
    refuses(manifest("[" + item("c.json", {}, {"a.tar"}) + "]"), "config \"c.json\" is missing");
    refuses(manifest("[" + item("../c.json", {}, {"a.tar"}) + "]"), "climbs");
    refuses(manifest("[" + item("/etc/passwd", {}, {"a.tar"}) + "]"), "absolute");
    refuses(tar_member("c.json", config) + manifest("[" + item("c.json", {}, {"a.tar"}) + "]"),
            "layer \"a.tar\" is missing");
    refuses(tar_member("c.json", config) + tar_member("a.tar", a) +
                manifest("[" + item("c.json", {}, {"a.tar", "a.tar"}) + "]"),
            "lists 2 layers and the config 1 diff_ids");
    refuses(tar_member("c.json", config) + tar_member("a.tar", a) + manifest("[" + item("c.json", {}, {}) + "]"),
            "lists 0 layers and the config 1 diff_ids");
    refuses(tar_member("c.json", "{}x") + tar_member("a.tar", a) + manifest("[" + item("c.json", {}, {"a.tar"}) + "]"),
            "config \"c.json\" is not JSON");
    refuses(tar_member("c.json", config) + tar_member("a.tar", "", '2', "a.tar") +
                manifest("[" + item("c.json", {}, {"a.tar"}) + "]"),
            "layer \"a.tar\" is missing");
    refuses(tar_member("c.json", config) + tar_member("a.tar", "", '2', "../../../etc/passwd") +
                manifest("[" + item("c.json", {}, {"a.tar"}) + "]"),
            "is missing");
    refuses(tar_member("repositories", "{}"), "older than 1.10");
    refuses(tar_member("etc/passwd", "root"), "not the output of \"docker save\"");
    refuses(tar_member("index.json", "{}"), "it is an OCI archive");
    refuses(manifest(std::string(5 << 20, ' ')), "larger than the limit");
    refuses(manifest(std::string(1000, '[')), "nested deeper");
}

BOOST_AUTO_TEST_CASE(a_layer_that_is_no_tar_is_refused_before_the_host_gets_it) {
    const Scratch dir;
    const std::string config = config_of({"{}"});
    const std::string bytes = tar_member("c.json", config) + tar_member("a.tar", "{}") +
                              tar_member("manifest.json", "[" + item("c.json", {}, {"a.tar"}) + "]") + tar_end();
    const std::string path = dir.write("x.tar.gz", compress("gzip", bytes));
    BOOST_TEST(contains(error_of([&] { source().read(path); }).message(), "is not a tar archive"));
}

BOOST_AUTO_TEST_CASE(json_that_fills_memory_is_refused) {
    const Scratch dir;
    std::string bytes;
    const std::string big = "{\"x\":\"" + std::string(3 << 20, 'x') + "\"}";
    for (int i = 0; i < 30; ++i) bytes += tar_member("j" + std::to_string(i), big);
    const std::string path = dir.write("x.tar.gz", compress("gzip", bytes + tar_end()));
    BOOST_TEST((error_of([&] { source().read(path); }).code() == Code::limit));
}

BOOST_AUTO_TEST_CASE(another_architecture_warns_or_fails) {
    const Scratch dir;
    const std::string a = a_layer("a");
    const std::string path =
        dir.write("x.tar", tar_member("c.json", config_of({a}, "arm64")) + tar_member("a.tar", a) +
                               tar_member("manifest.json", "[" + item("c.json", {}, {"a.tar"}) + "]") + tar_end());
    log_lines.clear();
    source().open(path);
    BOOST_REQUIRE(log_lines.size() == 1u);
    BOOST_TEST(contains(log_lines[0], "the image's architecture"));
    BOOST_CHECK_NO_THROW(source().open(path, {.arch = "arm64", .named = true}));
    BOOST_TEST(contains(error_of([&] { source().open(path, {.named = true}); }).message(), "the image's architecture"));
}

BOOST_AUTO_TEST_CASE(archives_of_other_projects_are_read) {
    const std::string data = shared_data();
    if (data.empty()) return;
    const std::string a = data + "/archives/";
    const auto reads = [&](const std::string& name, size_t layers) {
        BOOST_TEST_CONTEXT(name) {
            const Read r = source().read(a + name);
            check_digests(r);
            BOOST_TEST(r.layers.size() == layers);
        }
    };
    reads("almostempty.tar", 1);
    reads("go-containerregistry/mutate/overwritten_file.tar", 3);
    reads("go-containerregistry/mutate/source_image.tar", 1);
    reads("go-containerregistry/mutate/source_image_with_empty_layer_history.tar", 1);
    reads("go-containerregistry/mutate/whiteout_dir.tar", 4);
    reads("go-containerregistry/mutate/whiteout_image.tar", 3);
    reads("go-containerregistry/tarball/hello-world-v25.tar", 1);
    reads("go-containerregistry/tarball/test_image_1.tar", 1);
    reads("go-containerregistry/tarball/test_image_2.tar", 1);
    reads("go-containerregistry/tarball/test_load_manifest.tar", 1);
    reads("go-containerregistry/tarball/test_bundle.tar:test_image_1", 1);
    reads("go-containerregistry/tarball/test_bundle.tar:@1", 1);
    reads("go-containerregistry/tarball/test_link.tar:bazel/v1/tarball:test_image_1", 1);
    reads("go-containerregistry/tarball/test_link.tar:bazel/v1/tarball:test_image_3", 2);
    reads("libimage/buildkit-docker.tar", 0);
    reads("libimage/buildkit-oci.tar", 0);
    reads("libimage/docker-name-only.tar.xz", 1);
    reads("libimage/docker-registry-name.tar.xz", 1);
    reads("libimage/docker-two-names.tar.xz", 1);
    reads("libimage/docker-unnamed.tar.xz", 1);
    reads("libimage/docker-two-images.tar.xz:example.com/empty", 1);
    reads("libimage/docker-two-images.tar.xz:@1", 1);
    const auto refuses = [&](const std::string& name, const std::string& part) {
        BOOST_TEST_CONTEXT(name) {
            BOOST_TEST(contains(error_of([&] { source().read(a + name); }).message(), part));
        }
    };
    refuses("go-containerregistry/tarball/content.tar", "has no manifest.json");
    refuses("go-containerregistry/tarball/no_manifest.tar", "older than 1.10");
    refuses("go-containerregistry/tarball/null_manifest.tar", "expected 1 item, got 0");
    refuses("go-containerregistry/tarball/test_bundle.tar", "expected 1 item, got 2");
    refuses("go-containerregistry/tarball/test_link.tar", "expected 1 item, got 2");
    refuses("libimage/docker-two-images.tar.xz", "expected 1 item, got 2");
    refuses("moby/broken.tar", "has no manifest.json");
    refuses("moby/emptyLayer.tar", "older than 1.10");
}

BOOST_AUTO_TEST_SUITE_END()
