#include "store/layout_index.hpp"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <singularity/json.hpp>

#include "base/error.hpp"
#include "store/blob_store.hpp"
#include "store/known_images.hpp"
#include "store/output.hpp"
#include "store/records.hpp"
#include "store/sha256.hpp"

namespace {

namespace fs = std::filesystem;

struct Layout {
    std::string path, root;
    Layout() {
        char name[] = "/tmp/sg-layout-XXXXXX";
        path = mkdtemp(name);
        root = path + "/cache";
        sg::BlobStore(root, {}).prepare();
    }
    ~Layout() { sg::remove_tree(path); }
    sg::LayoutEntry entry(const std::string& manifest) const {
        const std::string hex = sg::sha256_hex(manifest);
        sg::BlobStore(root, {}).keep(manifest, sg::Digest::parse("sha256:" + hex, "test"));
        return {sg::sha256_hex("received " + manifest), "sha256:" + hex, manifest.size(), "amd64", "linux", ""};
    }
    std::string file() const { return root + "/oci/index.json"; }
    std::string text() const {
        std::ifstream in(file());
        return {std::istreambuf_iterator<char>(in), {}};
    }
    std::set<std::string> names() const {
        std::set<std::string> out;
        const singularity::json::Document document(text(), "index.json");
        for (const auto& m : document.root()["manifests"].list())
            out.insert(m["annotations"]["org.opencontainers.image.ref.name"].text_or("(none)"));
        return out;
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(an_image_is_listed_as_the_seed_lists_it) {
    Layout l;
    const auto e = l.entry("{}");
    sg::LayoutIndex(l.root).add(e);
    BOOST_CHECK_EQUAL(l.text(), "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"" +
                                    e.digest + "\",\"size\":2,\"annotations\":{\"org.opencontainers.image.ref.name\":\"" + e.name +
                                    "\"},\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"}}]}");
    std::ifstream marker(l.root + "/oci/oci-layout");
    BOOST_CHECK_EQUAL(std::string(std::istreambuf_iterator<char>(marker), {}), "{\"imageLayoutVersion\": \"1.0.0\"}");
}

BOOST_AUTO_TEST_CASE(many_processes_lose_no_image) {
    Layout l;
    constexpr int processes = 12, each = 6;
    std::set<std::string> expected;
    std::vector<sg::LayoutEntry> entries;
    for (int i = 0; i < processes * each; ++i) {
        entries.push_back(l.entry("{\"n\":" + std::to_string(i) + "}"));
        expected.insert(entries.back().name);
    }
    std::vector<pid_t> children;
    for (int p = 0; p < processes; ++p) {
        const pid_t pid = fork();
        BOOST_REQUIRE(pid >= 0);
        if (pid == 0) {
            int code = 0;
            try {
                for (int i = 0; i < each; ++i) sg::LayoutIndex(l.root).add(entries[static_cast<size_t>(p * each + i)]);
            } catch (const std::exception&) {
                code = 1;
            }
            _exit(code);
        }
        children.push_back(pid);
    }
    // Whoever reads meanwhile sees a whole file each time.
    int alive = processes;
    while (alive > 0) {
        int status = 0;
        while (waitpid(-1, &status, WNOHANG) > 0) {
            BOOST_CHECK_EQUAL(status, 0);
            --alive;
        }
        if (fs::exists(l.file())) BOOST_CHECK_NO_THROW(l.names());
    }
    BOOST_CHECK(l.names() == expected);
    BOOST_CHECK(fs::is_empty(l.root + "/tmp"));
}

BOOST_AUTO_TEST_CASE(what_other_tools_listed_stays_and_what_has_gone_goes) {
    Layout l;
    const auto theirs = l.entry("{\"theirs\":1}"), gone = l.entry("{\"gone\":1}"), ours = l.entry("{\"ours\":1}");
    std::ofstream(l.file()) << "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\""
                            << theirs.digest << "\",\"size\":12,\"annotations\":{\"org.opencontainers.image.ref.name\":\"latest\"}}]}";
    sg::LayoutIndex(l.root).add(gone);
    fs::remove(l.root + "/oci/blobs/sha256/" + gone.digest.substr(7));
    sg::LayoutIndex(l.root).add(ours);
    BOOST_CHECK((l.names() == std::set<std::string>{"latest", ours.name}));
}

BOOST_AUTO_TEST_CASE(garbage_in_its_place_is_replaced) {
    Layout l;
    const auto e = l.entry("{}");
    for (const char* garbage : {"", "not json", "[]", "{\"manifests\":7}", "{\"manifests\":[{\"digest\":\"sha256:../../x\"}]}"}) {
        std::ofstream(l.file()) << garbage;
        std::ofstream(l.root + "/records/image-garbage", std::ios::trunc) << garbage;
        sg::LayoutIndex(l.root).add(e);
        BOOST_CHECK((l.names() == std::set<std::string>{e.name}));
    }
    fs::remove(l.file());
    fs::create_directories(l.file() + "/deep");
    sg::LayoutIndex(l.root).add(e);
    BOOST_CHECK((l.names() == std::set<std::string>{e.name}));
}

BOOST_AUTO_TEST_CASE(what_is_known_of_a_reference_is_found_again) {
    Layout l;
    const sg::KnownImages known(l.root);
    BOOST_CHECK(known.last("a reference").empty());
    known.remember("a reference", {"sha256:x+linux/amd64", "a_latest.sif", "area"});
    const auto all = known.last("a reference");
    BOOST_REQUIRE_EQUAL(all.size(), 1u);
    const auto* id = &all[0];
    BOOST_CHECK_EQUAL(id->key, "sha256:x+linux/amd64");
    BOOST_CHECK_EQUAL(id->name, "a_latest.sif");
    BOOST_CHECK_EQUAL(id->area, "area");
    const std::string digest = "sha256:" + std::string(64, 'b');
    BOOST_CHECK_EQUAL(known.image_key(id->key), id->key);
    known.remember_key(id->key, digest);
    BOOST_CHECK_EQUAL(known.image_key(id->key), digest);
    BOOST_CHECK_EQUAL(known.image_key(digest), digest);
}

BOOST_AUTO_TEST_CASE(what_a_sites_cache_knows_comes_after_ones_own_and_is_not_changed) {
    Layout own, site;
    const std::string digest = "sha256:" + std::string(64, 'b'), newer = "sha256:" + std::string(64, 'c');
    sg::KnownImages(site.root).remember("r", {"old", "a.sif", "area"});
    sg::KnownImages(site.root).remember_key("old", digest);
    const sg::KnownImages known(own.root, site.root);
    BOOST_REQUIRE_EQUAL(known.last("r").size(), 1u);
    BOOST_CHECK_EQUAL(known.last("r")[0].key, "old");
    BOOST_CHECK_EQUAL(known.image_key("old"), digest);
    known.remember("r", {"new", "a.sif", "area"});
    known.remember_key("old", newer);
    BOOST_REQUIRE_EQUAL(known.last("r").size(), 2u);
    BOOST_CHECK_EQUAL(known.last("r")[0].key, "new");
    BOOST_CHECK_EQUAL(known.last("r")[1].key, "old");
    BOOST_CHECK_EQUAL(known.image_key("old"), newer);
    BOOST_CHECK_EQUAL(sg::KnownImages(site.root).image_key("old"), digest);
}

BOOST_AUTO_TEST_CASE(records_that_make_no_sense_are_not_believed) {
    Layout l;
    const sg::Records records(l.root);
    const sg::KnownImages known(l.root);
    const std::string reference = sg::Records::name_of("reference-", "r"), key = sg::Records::name_of("key-", "k");
    for (const char* text : {"", "one line", "key\n../../etc\nname\n", "key\nname\n", "\n\n\n"}) {
        records.put(reference, text);
        BOOST_CHECK(known.last("r").empty());
    }
    for (const char* text : {"", "sha256:../../etc\n", "\n"}) {
        records.put(key, text);
        BOOST_CHECK_EQUAL(known.image_key("k"), "k");
    }
}
