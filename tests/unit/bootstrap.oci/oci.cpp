// The source "oci" as the host sees it: over the C boundary, on directories made here and by other projects.
#include <sys/stat.h>

#include <thread>

#include "bootstrap.family/source_fixture.hpp"

using namespace fixture;

namespace {

Source& source() {
    static Source s(PLUGIN_OBJECT, "oci");
    return s;
}

// A layout on disk.
class Layout {
public:
    Layout() { dir.write("oci-layout", R"({"imageLayoutVersion":"1.0.0"})"); }
    std::string blob(const std::string& bytes) {
        const std::string d = sha256(bytes);
        dir.write("blobs/sha256/" + d.substr(7), bytes);
        return d;
    }
    std::string file_of(const std::string& digest) const { return dir.path() + "/blobs/sha256/" + digest.substr(7); }
    static std::string descriptor(const std::string& type, const std::string& digest, size_t size,
                                  const std::string& more = {}) {
        return R"({"mediaType":")" + type + R"(","digest":")" + digest + R"(","size":)" + std::to_string(size) + more +
               "}";
    }
    // An image of these layers; gives its entry for the index.
    std::string image(const std::vector<std::string>& contents, const std::string& more = {}) {
        std::string ids, list;
        for (const std::string& l : contents) {
            ids += (ids.empty() ? "" : ",") + ("\"" + sha256(l) + "\"");
            layers.push_back(blob(l));
            list += (list.empty() ? "" : ",") +
                    descriptor("application/vnd.oci.image.layer.v1.tar", layers.back(), l.size());
        }
        const std::string config =
            R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[)" + ids + "]}}";
        const std::string m = R"({"schemaVersion":2,"config":)" +
                              descriptor("application/vnd.oci.image.config.v1+json", blob(config), config.size()) +
                              R"(,"layers":[)" + list + "]}";
        manifest = blob(m);
        return descriptor("application/vnd.oci.image.manifest.v1+json", manifest, m.size(), more);
    }
    void index(const std::string& entries) {
        dir.write("index.json", R"({"schemaVersion":2,"manifests":[)" + entries + "]}");
    }

    Scratch dir;
    std::string manifest;
    std::vector<std::string> layers;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(oci_layout_directories)

BOOST_AUTO_TEST_CASE(an_image_is_resolved_and_read) {
    Layout l;
    l.index(l.image({a_layer("one"), a_layer("two")}, R"(,"annotations":{"org.opencontainers.image.ref.name":"v1"})"));
    for (const std::string& ref : {l.dir.path(), l.dir.path() + "/", l.dir.path() + ":v1", l.dir.path() + ":@0",
                                   l.dir.path() + "@" + l.manifest}) {
        const Id id = source().resolve(ref);
        BOOST_TEST(id.key == l.manifest);
        BOOST_TEST(id.cache_area == "oci-tmp");
        BOOST_TEST(id.arch == "amd64");
        BOOST_TEST(contains(id.name, "_v1.sif"));
        const Read r = source().read(ref);
        BOOST_TEST(!r.sequential);
        BOOST_REQUIRE(r.layers.size() == 2u);
        BOOST_TEST(sha256(r.manifest) == l.manifest);
        BOOST_TEST(r.manifest_type == "application/vnd.oci.image.manifest.v1+json");
        check_digests(r);
    }
    // As seen from where the user stands.
    const std::filesystem::path path(l.dir.path());
    BOOST_TEST(source().resolve(path.filename().string(), {.directory = path.parent_path().string()}).key ==
               l.manifest);
}

BOOST_AUTO_TEST_CASE(several_layers_are_read_at_once) {
    Layout l;
    std::vector<std::string> contents;
    for (int i = 0; i < 4; ++i)
        contents.push_back(tar_member("f", std::string(3000000 + i, static_cast<char>('a' + i))) + tar_end());
    l.index(l.image(contents));
    const auto image = source().open(l.dir.path());
    std::vector<std::string> got(4);
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            sg_stream* s = nullptr;
            if (image->layers->layer(image.get(), i, a_call(), &s, nullptr) == SG_OK) got[i] = drain(s);
        });
    for (auto& t : threads) t.join();
    for (size_t i = 0; i < 4; ++i) BOOST_TEST((got[i] == contents[i]));
}

BOOST_AUTO_TEST_CASE(several_images_and_no_name_is_the_message_of_old) {
    Layout l;
    const std::string one = l.image({a_layer("1")}, R"(,"annotations":{"org.opencontainers.image.ref.name":"one"})");
    l.index(one + "," + l.image({a_layer("2")}));
    BOOST_TEST(error_of([&] { source().resolve(l.dir.path()); }).message() ==
               "conveyor failed to get: more than one image in oci, choose an image");
    BOOST_TEST(error_of([&] { source().open(l.dir.path() + ":x"); }).message() ==
               "conveyor failed to get: no descriptor found for reference \"x\"");
}

BOOST_AUTO_TEST_CASE(a_missing_or_cut_blob_is_named_by_its_digest) {
    Layout l;
    l.index(l.image({a_layer("one")}));
    const std::string file = l.file_of(l.layers[0]);
    std::filesystem::resize_file(file, 700);
    Error e = error_of([&] { source().read(l.dir.path()); });
    BOOST_TEST(contains(e.message(), "blob " + l.layers[0] + " has 700 bytes; the manifest says 2048"));
    BOOST_TEST((e.code() == Code::corrupt));
    std::filesystem::remove(file);
    e = error_of([&] { source().read(l.dir.path()); });
    BOOST_TEST(contains(e.message(), "blob " + l.layers[0] + " is missing"));
    BOOST_TEST((e.code() == Code::not_found));
    std::filesystem::create_directory(file);
    BOOST_TEST(contains(error_of([&] { source().read(l.dir.path()); }).message(), "is a directory"));
    std::filesystem::remove(file);
    BOOST_REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    BOOST_TEST(contains(error_of([&] { source().read(l.dir.path()); }).message(), "is not a regular file"));
    // A link to the blob elsewhere is as good as the blob.
    std::filesystem::remove(file);
    std::filesystem::create_symlink(l.dir.write("elsewhere", a_layer("one")), file);
    check_digests(source().read(l.dir.path()));
}

BOOST_AUTO_TEST_CASE(a_foreign_layer_that_is_absent_says_where_it_can_be_had) {
    Layout l;
    const std::string layer = a_layer("x"), config = R"({"os":"linux","architecture":"amd64","rootfs":{"diff_ids":[")" +
                                                     sha256(layer) + R"("]}})";
    const std::string m =
        R"({"schemaVersion":2,"config":)" +
        Layout::descriptor("application/vnd.oci.image.config.v1+json", l.blob(config), config.size()) +
        R"(,"layers":[)" +
        Layout::descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar", sha256(layer), layer.size(),
                           R"(,"urls":["https://example.invalid/x"])") +
        "]}";
    l.index(Layout::descriptor("application/vnd.oci.image.manifest.v1+json", l.blob(m), m.size()));
    const Error e = error_of([&] { source().read(l.dir.path()); });
    BOOST_TEST(contains(e.hint(), "https://example.invalid/x"));
}

BOOST_AUTO_TEST_CASE(what_is_no_layout_is_refused_with_a_way_out) {
    const Scratch dir;
    const std::string file = dir.write("f.tar", "x");
    BOOST_TEST(contains(error_of([&] { source().open(file); }).hint(), "oci-archive"));
    BOOST_TEST(contains(error_of([&] { source().open(dir.path()); }).message(), "it has no index.json"));
    const Error e = error_of([&] { source().open(dir.path() + "/none"); });
    BOOST_TEST(contains(e.message(), "No such file or directory"));
    BOOST_TEST((e.code() == Code::not_found));
    BOOST_CHECK_THROW(source().open(""), Error);
    dir.write("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    for (const std::string& bad :
         {std::string("{"), std::string(""), std::string("[]"), std::string("{}"), std::string("null"),
          std::string(100000, '['),
          std::string(R"({"schemaVersion":2,"manifests":[{"digest":"sha256:../../../etc/passwd","size":1}]})"),
          std::string(R"({"schemaVersion":2,"manifests":{"a":1}})"),
          std::string("{\"manifests\":[],\"x\":\"" + std::string(5 << 20, 'x') + "\"}")}) {
        dir.write("index.json", bad);
        const Error refused = error_of([&] { source().open(dir.path()); });
        BOOST_TEST((refused.code() != Code::internal), refused.message());
        BOOST_TEST(contains(refused.message(), dir.path()));
    }
    std::filesystem::remove(dir.path() + "/index.json");
    std::filesystem::create_directory(dir.path() + "/index.json");
    BOOST_TEST(contains(error_of([&] { source().open(dir.path()); }).message(), "is a directory"));
}

BOOST_AUTO_TEST_CASE(an_oversized_manifest_is_not_read) {
    Layout l;
    const std::string big = "{\"x\":\"" + std::string(5 << 20, 'x') + "\"}";
    l.index(Layout::descriptor("application/vnd.oci.image.manifest.v1+json", l.blob(big), big.size()));
    BOOST_TEST((error_of([&] { source().open(l.dir.path()); }).code() == Code::limit));
}

BOOST_AUTO_TEST_CASE(cancel_ends_a_stream) {
    Layout l;
    l.index(l.image({tar_member("f", std::string(3000000, 'x')) + tar_end()}));
    const auto image = source().open(l.dir.path());
    sg_stream* s = nullptr;
    BOOST_REQUIRE(image->layers->layer(image.get(), 0, a_call(), &s, nullptr) == SG_OK);
    sg_slice slice{};
    BOOST_TEST(s->next(s, &slice, nullptr) == SG_OK);
    cancel_flag = 1;
    BOOST_TEST(s->next(s, &slice, nullptr) == SG_ECANCELLED);
    cancel_flag = 0;
    s->close(s);
    BOOST_TEST(image->layers->layer(image.get(), 1, a_call(), &s, nullptr) == SG_ENOTFOUND);
    sg_blob b{};
    BOOST_TEST(image->layers->describe(image.get(), 1, &b, nullptr) == SG_ENOTFOUND);
}

BOOST_AUTO_TEST_CASE(layouts_of_other_projects_are_read) {
    const std::string data = shared_data();
    if (data.empty()) return;
    const auto reads = [&](const std::string& ref, size_t layers) {
        BOOST_TEST_CONTEXT(ref) {
            const Read r = source().read(data + "/" + ref);
            check_digests(r);
            BOOST_TEST(r.layers.size() == layers);
        }
    };
    const std::string repo = "oci/regclient/testdata/testrepo",
                      multiple = "oci/layout/fixtures/delete_image_multiple_images";
    for (const char* tag : {":b1", ":b2", ":b3"}) reads(repo + tag, 1);
    reads(repo + ":v1", 2);
    reads(repo + ":v2", 3);
    reads(repo + ":v3", 5);
    reads(repo + "@sha256:f8c9d547514d66b562f791c361e4e9795340a7626aff22980138718689ef2a44", 5);
    for (const char* tag : {":latest", ":3.18.3", ":3.18", ":3", ":3.17.5", ":3.16.7"}) reads(multiple + tag, 1);
    reads("oci/layout/fixtures/delete_image_two_identical_references:1.0.0", 1);
    reads("archives/go-containerregistry/layout/test_index_one_image", 1);
    reads("oci/sylabs/images/hello-world-docker-v2-manifest", 1);
    // The signature and the attestation beside it make no choice of images.
    reads("oci/sylabs/images/hello-world-cosign-manifest", 1);
    const Read v2 = source().read(data + "/oci/sylabs/images/hello-world-docker-v2-manifest");
    BOOST_TEST(v2.manifest_type == "application/vnd.docker.distribution.manifest.v2+json");
    const Read arm = source().read(data + "/" + repo + ":v1", {.arch = "arm64", .named = true});
    BOOST_TEST(contains(arm.config, "\"architecture\":\"arm64\""));

    const auto refuses = [&](const std::string& ref, const std::string& part) {
        BOOST_TEST_CONTEXT(ref) {
            BOOST_TEST(contains(error_of([&] { source().open(data + "/" + ref); }).message(), part));
        }
    };
    refuses(repo, "more than one image in oci, choose an image");
    refuses(multiple, "more than one image in oci, choose an image");
    refuses("oci/layout/fixtures/name_lookups", "more than one image in oci, choose an image");
    for (const char* tag : {"a", "b", "c", "d"})
        refuses("oci/layout/fixtures/name_lookups:" + std::string(tag), "is missing");
    refuses("oci/layout/fixtures/name_lookups:invalid-mime", "x-completely-unknown");
    refuses("oci/layout/fixtures/name_lookups:e", "no descriptor found for reference \"e\"");
    // The index announces another size than the blob has.
    refuses(multiple + ":1.0.0", "has 584 bytes, and 585 are announced");
    refuses("oci/layout/fixtures/delete_image_only_one_image", "has 740 bytes, and 585 are announced");
    refuses("oci/layout/fixtures/delete_image_shared_blobs_dir", "is missing");
    refuses("oci/layout/fixtures/manifest", "is missing");
    refuses("oci/layout/fixtures/two_images_manifest",
            "sha256:5b0bcabd1ed22e9fb1310cf6c2dec7cdef19f0ad69efa1f392e94a4333501270 is missing");
    for (const char* tag :
         {":a1", ":a2", ":a3", ":child", ":loop", ":mirror", ":a-docker", ":a-docker-oci", ":a-example"})
        refuses(repo + tag, "no extractable OCI/Docker tar layers found in this image");
    refuses(repo + ":ai", "its 2 images name no platform");
    refuses("archives/go-containerregistry/layout/test_index_media_type", "application/vnd.cncf.helm.config.v1+json");
    refuses("archives/go-containerregistry/layout/test_gc_image_unknown_mediatype",
            "application/vnd.oci.descriptor.v1+json");
    refuses("archives/go-containerregistry/layout/test_index:1", "but is listed as");
    refuses("archives/go-containerregistry/layout/test_index:2", "is not an image");
}

BOOST_AUTO_TEST_SUITE_END()
