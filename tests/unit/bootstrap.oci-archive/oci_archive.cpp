// The source "oci-archive" as the host sees it: plain archives in place, compressed ones in their own order.
#include <fcntl.h>
#include <sys/stat.h>

#include <thread>

#include "bootstrap.family/source_fixture.hpp"

using namespace fixture;

namespace {

Source& source() {
    static Source s(PLUGIN_OBJECT, "oci-archive");
    return s;
}

std::string descriptor(const std::string& type, const std::string& bytes, const std::string& more = {}) {
    return R"({"mediaType":")" + type + R"(","digest":")" + sha256(bytes) + R"(","size":)" +
           std::to_string(bytes.size()) + more + "}";
}

struct Sample {
    std::vector<std::string> layers{a_layer("one"), a_layer("two"),
                                    tar_member("big", std::string(2000000, 'z')) + tar_end()};
    std::string config, manifest, index;

    Sample() {
        std::string ids, list;
        for (const auto& l : layers) {
            ids += (ids.empty() ? "" : ",") + ("\"" + sha256(l) + "\"");
            list += (list.empty() ? "" : ",") + descriptor("application/vnd.oci.image.layer.v1.tar", l);
        }
        config = R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[)" + ids + "]}}";
        manifest = R"({"schemaVersion":2,"config":)" + descriptor("application/vnd.oci.image.config.v1+json", config) +
                   R"(,"layers":[)" + list + "]}";
        index = R"({"schemaVersion":2,"manifests":[)" +
                descriptor("application/vnd.oci.image.manifest.v1+json", manifest,
                           R"(,"annotations":{"org.opencontainers.image.ref.name":"v1"})") +
                "]}";
    }
    static std::string blob(const std::string& bytes, const std::string& prefix = {}) {
        return tar_member(prefix + "blobs/sha256/" + sha256(bytes).substr(7), bytes);
    }
    // `prefix` before each name; the index first or last.
    std::string tar(const std::string& prefix = {}, bool index_first = false) const {
        const std::string top = tar_member(prefix + "index.json", index) +
                                tar_member(prefix + "oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
        std::string out = tar_member(prefix + "blobs/", "", '5');
        if (index_first) out += top;
        for (const auto& l : layers) out += blob(l, prefix);
        out += blob(manifest, prefix) + blob(config, prefix);
        return out + (index_first ? "" : top) + tar_end();
    }
};

void is_the_sample(const Read& r, const Sample& s) {
    check_digests(r);
    BOOST_REQUIRE(r.layers.size() == s.layers.size());
    for (size_t i = 0; i < s.layers.size(); ++i) BOOST_TEST((r.layers[i].bytes == s.layers[i]));
    BOOST_TEST(r.manifest == s.manifest);
    BOOST_TEST(r.config == s.config);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(oci_archives)

BOOST_AUTO_TEST_CASE(a_plain_archive_is_read_in_place_whatever_the_order_of_its_members) {
    const Sample s;
    const Scratch dir;
    for (const std::string prefix : {"", "./"})
        for (const bool first : {true, false}) {
            const std::string path = dir.write("x.oci.tar", s.tar(prefix, first));
            const Read r = source().read(path);
            BOOST_TEST(!r.sequential);
            is_the_sample(r, s);
            const Id id = source().resolve(path + ":v1");
            BOOST_TEST(id.key == sha256(s.manifest));
            BOOST_TEST(id.name == "x_v1.sif");
            BOOST_TEST(id.cache_area == "oci-tmp");
        }
}

BOOST_AUTO_TEST_CASE(layers_of_a_plain_archive_are_read_at_once) {
    const Sample s;
    const Scratch dir;
    const auto image = source().open(dir.write("x.tar", s.tar()));
    std::vector<std::string> got(s.layers.size());
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < got.size(); ++i)
        threads.emplace_back([&, i] {
            sg_stream* stream = nullptr;
            if (image->layers->layer(image.get(), i, a_call(), &stream, nullptr) == SG_OK) got[i] = drain(stream);
        });
    for (auto& t : threads) t.join();
    BOOST_TEST((got == s.layers));
}

BOOST_AUTO_TEST_CASE(a_compressed_archive_is_read_once_in_its_own_order) {
    const Sample s;
    const Scratch dir;
    for (const char* program : {"gzip", "xz", "zstd", "bzip2"}) {
        const std::string packed = compress(program, s.tar("./"));
        if (packed.empty()) {
            BOOST_TEST_MESSAGE("skipped: no " << program);
            continue;
        }
        const std::string path = dir.write("x.tar.packed", packed);
        const Read r = source().read(path + ":v1");
        BOOST_TEST(r.sequential, program);
        is_the_sample(r, s);
        // The documents are no parts; each part is named by its digest.
        std::vector<std::string> keys;
        for (const auto& l : s.layers) keys.push_back(sha256(l));
        BOOST_TEST(r.part_keys == keys, boost::test_tools::per_element());
        // Nothing is known without a reading of the whole.
        BOOST_TEST(source().resolve(path).key == "");
        BOOST_TEST(contains(source().resolve(path + ":v1").name, "_v1.sif"));
        BOOST_TEST(contains(error_of([&] { source().read(path + ":no"); }).message(),
                            "no descriptor found for reference \"no\""));
    }
}

BOOST_AUTO_TEST_CASE(a_pipe_is_read_in_its_own_order) {
    const Sample s;
    const Scratch dir;
    const std::string path = dir.path() + "/pipe";
    BOOST_REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    // Resolving must not take bytes out of it.
    BOOST_TEST(source().resolve(path).key == "");
    std::thread writer([&] { std::ofstream(path, std::ios::binary) << s.tar(); });
    const Read r = source().read(path);
    writer.join();
    BOOST_TEST(r.sequential);
    is_the_sample(r, s);
}

BOOST_AUTO_TEST_CASE(parts_may_be_closed_before_their_end) {
    const Sample s;
    const Scratch dir;
    const std::string packed = compress("gzip", s.tar());
    const auto image = source().open(dir.write("x.tar.gz", packed));
    const sg_layers* l = image->layers;
    BOOST_TEST(l->count(image.get()) == 0u);
    int parts = 0;
    for (;; ++parts) {
        const char* key = nullptr;
        uint64_t size = 0;
        sg_stream* stream = nullptr;
        BOOST_REQUIRE(l->next_part(image.get(), a_call(), &key, &size, &stream, nullptr) == SG_OK);
        if (!key) break;
        sg_slice slice{};
        if (parts == 1) BOOST_TEST(stream->next(stream, &slice, nullptr) == SG_OK);
        stream->close(stream);
    }
    BOOST_TEST(parts == 3);
    BOOST_TEST(l->count(image.get()) == 3u);
    uint64_t number = 99;
    BOOST_TEST(l->part(image.get(), 2, &number, nullptr) == SG_OK);
    BOOST_TEST(number == 2u);
    BOOST_TEST(l->part(image.get(), 3, &number, nullptr) == SG_ENOTFOUND);
}

BOOST_AUTO_TEST_CASE(cancel_ends_a_sequential_reading) {
    const Sample s;
    const Scratch dir;
    const auto image = source().open(dir.write("x.tar.gz", compress("gzip", s.tar())));
    cancel_flag = 1;
    const char* key = nullptr;
    uint64_t size = 0;
    sg_stream* stream = nullptr;
    BOOST_TEST(image->layers->next_part(image.get(), a_call(), &key, &size, &stream, nullptr) == SG_ECANCELLED);
    cancel_flag = 0;
}

BOOST_AUTO_TEST_CASE(a_layer_that_is_a_link_does_not_count) {
    const Sample s;
    const Scratch dir;
    std::string bytes = Sample::blob(s.manifest) + Sample::blob(s.config) + tar_member("index.json", s.index) +
                        tar_member("oci-layout", R"({"imageLayoutVersion":"1.0.0"})") +
                        tar_member("real", s.layers[0]) +
                        tar_member("blobs/sha256/" + sha256(s.layers[0]).substr(7), "", '2', "../../real");
    BOOST_TEST(contains(error_of([&] { source().read(dir.write("x.tar", bytes + tar_end())); }).message(),
                        "blob " + sha256(s.layers[0]) + " is missing"));
}

BOOST_AUTO_TEST_CASE(hostile_archives_are_refused) {
    const Sample s;
    const Scratch dir;
    const auto refuses = [&](const std::string& bytes, const std::string& part) {
        for (const std::string& form : {bytes, compress("gzip", bytes)}) {
            const std::string path = dir.write("x.tar", form);
            const Error e = error_of([&] { source().read(path); });
            BOOST_TEST(contains(e.message(), part));
            BOOST_TEST((e.code() != Code::internal));
        }
    };
    refuses(tar_member("../index.json", s.index) + tar_end(), "climbs");
    refuses(tar_member("/index.json", s.index) + tar_end(), "absolute");
    refuses(tar_member("index.json", "{") + tar_end(), "is not JSON");
    refuses(tar_member("index.json", "{\"x\":\"" + std::string(5 << 20, 'x') + "\"}") + tar_end(),
            "larger than the limit");
    refuses(tar_member("other", "x") + tar_end(), "it has no index.json");
    refuses(tar_member("index.json", "", '2', "/etc/passwd") + tar_end(), "it has no index.json");
    refuses(tar_end(), "it has no index.json");
    refuses(std::string("no tar at all ") + std::string(600, 'x'), "is not a tar archive");
    refuses(s.tar().substr(0, 3000), "truncated");
    refuses("", "empty");
}

BOOST_AUTO_TEST_CASE(every_cut_of_an_archive_is_an_error) {
    const Scratch dir;
    const Sample s;
    std::string small =
        Sample::blob(s.manifest) + Sample::blob(s.config) + Sample::blob(s.layers[0]) + Sample::blob(s.layers[1]);
    small +=
        tar_member("index.json", s.index) + tar_member("oci-layout", R"({"imageLayoutVersion":"1.0.0"})") + tar_end();
    const std::string packed = compress("gzip", small);
    for (size_t n = 1; n < small.size() - 1024 - 512; n += 211) {
        const std::string path = dir.write("x.tar", small.substr(0, n));
        const Error e = error_of([&] { source().read(path); });
        BOOST_TEST((e.code() != Code::internal), e.message());
    }
    for (size_t n = 1; n < packed.size() - 20; n += 7) {
        const std::string path = dir.write("x.tar.gz", packed.substr(0, n));
        const Error e = error_of([&] { source().read(path); });
        BOOST_TEST((e.code() != Code::internal), e.message());
    }
}

BOOST_AUTO_TEST_CASE(wrong_kinds_of_files_are_refused_with_a_way_out) {
    const Scratch dir;
    BOOST_TEST(contains(error_of([&] { source().open(dir.path()); }).hint(), "Use oci:"));
    BOOST_TEST((error_of([&] { source().open(dir.path() + "/none.tar"); }).code() == Code::not_found));
    const std::string docker = dir.write("d.tar", tar_member("manifest.json", "[]") + tar_end());
    BOOST_TEST(contains(error_of([&] { source().open(docker); }).hint(), "docker-archive"));
}

BOOST_AUTO_TEST_CASE(archives_of_other_projects_are_read) {
    const std::string data = shared_data();
    if (data.empty()) return;
    for (const char* name :
         {"oci-name-only.tar.gz", "oci-non-docker-name.tar.gz", "oci-registry-name.tar.gz", "oci-unnamed.tar.gz"}) {
        const Read r = source().read(data + "/archives/libimage/" + name);
        check_digests(r);
        BOOST_TEST(r.layers.size() == 1u, name);
        BOOST_TEST(r.sequential, name);
    }
    check_digests(source().read(data + "/archives/libimage/buildkit-oci.tar"));
    BOOST_TEST(contains(
        error_of([&] { source().open(data + "/archives/go-containerregistry/tarball/hello-world-v25.tar"); }).hint(),
        "docker-archive"));
}

BOOST_AUTO_TEST_SUITE_END()
