// Which image of a layout a reference means; the layout is held in memory.
#include "family/layout.hpp"

#include <map>

#include "source_fixture.hpp"

using namespace sources;
using fixture::contains;
using fixture::error_of;

namespace {

class Memory final : public BlobSource {
public:
    std::map<std::string, std::string> documents{{"oci-layout", R"({"imageLayoutVersion":"1.0.0"})"}};
    std::map<std::string, std::string> blobs;  // by digest

    std::string put(const std::string& bytes) {
        const std::string d = fixture::sha256(bytes);
        blobs[d] = bytes;
        return d;
    }
    // A descriptor of a stored blob.
    std::string descriptor(const std::string& type, const std::string& digest, const std::string& more = {}) {
        return R"({"mediaType":")" + type + R"(","digest":")" + digest + R"(","size":)" +
               std::to_string(blobs[digest].size()) + more + "}";
    }
    // An image of one layer; gives the descriptor of its manifest.
    std::string image(const std::string& arch, const std::string& more = {}, const std::string& mark = {}) {
        const std::string layer = fixture::a_layer(arch + mark), diff = fixture::sha256(layer);
        const std::string config = put(R"({"architecture":")" + arch +
                                       R"(","os":"linux","rootfs":{"type":"layers","diff_ids":[")" + diff + R"("]}})");
        const std::string manifest =
            put(R"({"schemaVersion":2,"config":)" + descriptor("application/vnd.oci.image.config.v1+json", config) +
                R"(,"layers":[)" + descriptor("application/vnd.oci.image.layer.v1.tar", put(layer)) + "]}");
        last = manifest;
        return descriptor("application/vnd.oci.image.manifest.v1+json", manifest, more);
    }
    std::string index_blob(const std::vector<std::string>& entries, const std::string& more = {}) {
        last = put(index_text(entries));
        return descriptor("application/vnd.oci.image.index.v1+json", last, more);
    }
    static std::string index_text(const std::vector<std::string>& entries) {
        std::string out;
        for (const auto& e : entries) out += (out.empty() ? "" : ",") + e;
        return R"({"schemaVersion":2,"manifests":[)" + out + "]}";
    }
    void index(const std::vector<std::string>& entries) { documents["index.json"] = index_text(entries); }
    std::string last;

    const std::string& where() const override { return where_; }
    std::optional<std::string> document(const std::string& name, uint64_t) override {
        return documents.count(name) ? std::optional(documents[name]) : std::nullopt;
    }
    std::optional<uint64_t> size_of(const Digest& d) override {
        return blobs.count(d.text()) ? std::optional<uint64_t>(blobs[d.text()].size()) : std::nullopt;
    }
    std::string read(const Digest& d, uint64_t) override { return blobs.at(d.text()); }

private:
    std::string where_ = "MEM";
};

std::string ref_name(const std::string& name) {
    return R"(,"annotations":{"org.opencontainers.image.ref.name":")" + name + R"("})";
}
std::string platform(const std::string& arch) {
    return R"(,"platform":{"os":"linux","architecture":")" + arch + R"("})";
}
const Wanted amd64{"amd64", "", false}, arm64{"arm64", "", false};

std::string arch_of(Memory& m, const std::string& ref, const Wanted& w = amd64) {
    return choose_image(m, ref, w).facts.platform.architecture;
}
Error refused(Memory& m, const std::string& ref, const Wanted& w = amd64) {
    return error_of([&] { choose_image(m, ref, w); });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(layouts)

BOOST_AUTO_TEST_CASE(the_only_image_needs_no_name) {
    Memory m;
    m.index({m.image("amd64", ref_name("latest"))});
    const ChosenImage c = choose_image(m, "", amd64);
    BOOST_TEST(c.name == "latest");
    BOOST_TEST(c.digest.text() == m.last);
    BOOST_TEST(c.manifest.layers.size() == 1u);
    BOOST_TEST(c.warnings.empty());
}

BOOST_AUTO_TEST_CASE(several_images_need_a_choice_with_the_message_of_old) {
    Memory m;
    m.index(
        {m.image("amd64", ref_name("one"), "1"), m.image("amd64", ref_name("two"), "2"), m.image("amd64", "", "3")});
    const Error e = refused(m, "");
    BOOST_TEST(e.message() == "conveyor failed to get: more than one image in oci, choose an image");
    BOOST_TEST(contains(e.hint(), "\"one\", \"two\", @2 (sha256:"));
    BOOST_TEST(choose_image(m, "two", amd64).name == "two");
    BOOST_TEST(choose_image(m, "@2", amd64).digest.text() == m.last);
    BOOST_TEST(choose_image(m, m.last, amd64).digest.text() == m.last);
    BOOST_TEST(choose_image(m, "@" + m.last, amd64).digest.text() == m.last);
    BOOST_TEST(refused(m, "three").message() == "conveyor failed to get: no descriptor found for reference \"three\"");
    BOOST_TEST(contains(refused(m, "three").hint(), "\"one\", \"two\""));
    BOOST_TEST(contains(refused(m, "@3").message(), "no descriptor found for reference \"@3\""));
    BOOST_TEST(contains(refused(m, "@99999999999999999999").message(), "no descriptor found"));
    // Only an exact name counts.
    BOOST_TEST(contains(refused(m, "on").message(), "no descriptor found"));
    BOOST_TEST(contains(refused(m, "ONE").message(), "no descriptor found"));
}

BOOST_AUTO_TEST_CASE(the_name_that_containerd_writes_is_found_too) {
    Memory m;
    m.index(
        {m.image(
             "amd64",
             R"(,"annotations":{"io.containerd.image.name":"docker.io/lab/x:1","org.opencontainers.image.ref.name":"1"})",
             "1"),
         m.image(
             "arm64",
             R"(,"annotations":{"io.containerd.image.name":"docker.io/lab/y:2","org.opencontainers.image.ref.name":"2"})",
             "2")});
    BOOST_TEST(arch_of(m, "docker.io/lab/x:1") == "amd64");
    BOOST_TEST(arch_of(m, "2") == "arm64");
    BOOST_TEST(choose_image(m, "2", arm64).name == "docker.io/lab/y:2");
}

BOOST_AUTO_TEST_CASE(one_image_for_several_platforms_is_no_choice_of_images) {
    Memory m;
    const std::string a = m.image("amd64", platform("amd64")), b = m.image("arm64", platform("arm64"));
    m.index({a, b});
    BOOST_TEST(arch_of(m, "", arm64) == "arm64");
    BOOST_TEST(arch_of(m, "") == "amd64");
    // The same bytes twice are one image as well.
    m.index({m.image("amd64", ref_name("x")), m.image("amd64", ref_name("y"))});
    BOOST_TEST(arch_of(m, "") == "amd64");
    // Two names are two images, whatever their platforms.
    m.index({m.image("amd64", platform("amd64") + ref_name("x")), m.image("arm64", platform("arm64") + ref_name("y"))});
    BOOST_TEST(contains(refused(m, "").message(), "more than one image"));
    // One name with two platforms is chosen by platform; without platforms the first counts.
    m.index({m.image("amd64", platform("amd64") + ref_name("x")), m.image("arm64", platform("arm64") + ref_name("x"))});
    BOOST_TEST(arch_of(m, "x", arm64) == "arm64");
    m.index({m.image("amd64", ref_name("x")), m.image("arm64", ref_name("x"))});
    BOOST_TEST(arch_of(m, "x", arm64) == "amd64");
}

BOOST_AUTO_TEST_CASE(an_index_is_chosen_from_by_platform_also_nested) {
    Memory m;
    const std::string attestation = m.image("unknown", R"(,"platform":{"os":"unknown","architecture":"unknown"})");
    const std::string inner =
        m.index_blob({attestation, m.image("arm64", platform("arm64")), m.image("amd64", platform("amd64"))});
    m.index({m.index_blob({inner}, ref_name("x"))});
    BOOST_TEST(arch_of(m, "x", arm64) == "arm64");
    BOOST_TEST(arch_of(m, "") == "amd64");
    const Error e = refused(m, "", {"s390x", "", true});
    BOOST_TEST(e.message() ==
               "conveyor failed to get: no image for linux/s390x in MEM; there is linux/arm64, linux/amd64");
    BOOST_TEST((e.code() == Code::not_found));
}

BOOST_AUTO_TEST_CASE(indexes_are_not_followed_for_ever) {
    Memory m;
    std::string entry = m.image("amd64", platform("amd64"));
    for (int i = 0; i < 4; ++i) entry = m.index_blob({entry});
    m.index({entry});
    BOOST_TEST(arch_of(m, "") == "amd64");
    m.index({m.index_blob({entry})});
    BOOST_TEST(contains(refused(m, "").message(), "nested deeper than 4 levels"));
}

BOOST_AUTO_TEST_CASE(entries_of_unknown_types_are_skipped_in_an_index) {
    Memory m;
    const std::string odd = m.descriptor("application/x-odd", m.put("odd"), platform("amd64"));
    m.index({m.index_blob({odd, m.image("amd64", platform("amd64"))})});
    BOOST_TEST(arch_of(m, "") == "amd64");
    m.index({odd, m.image("amd64")});
    BOOST_TEST(arch_of(m, "") == "amd64");
    m.index({m.descriptor("application/x-odd", m.put("odd"), ref_name("x"))});
    BOOST_TEST(contains(refused(m, "x").message(), "is of type \"application/x-odd\", which is not an image"));
    BOOST_TEST(contains(refused(m, "").message(), "which is not an image"));
}

BOOST_AUTO_TEST_CASE(signatures_and_attestations_beside_an_image_do_not_make_a_choice) {
    Memory m;
    const std::string hex(64, 'a');
    m.index({m.image("amd64", "", "1"), m.image("amd64", ref_name("sha256-" + hex + ".sig"), "2"),
             m.image("amd64", ref_name("_cosign:sha256-" + hex + ".att"), "3"),
             m.image("amd64", ref_name("sha256-" + hex), "4"),
             m.image("amd64", R"(,"annotations":{"vnd.docker.reference.type":"attestation-manifest"})", "5")});
    BOOST_TEST(arch_of(m, "") == "amd64");
    BOOST_TEST(arch_of(m, "sha256-" + hex + ".sig") == "amd64");
}

BOOST_AUTO_TEST_CASE(a_platform_whose_blobs_are_absent_gives_way_to_one_that_is_there) {
    Memory m;
    const std::string v8 = m.image("arm64", R"(,"platform":{"os":"linux","architecture":"arm64","variant":"v8"})", "1");
    const std::string gone = m.last;
    const std::string bare = m.image("arm64", platform("arm64"), "2");
    const std::string kept = m.last;
    m.index({m.index_blob({v8, bare})});
    m.blobs.erase(gone);
    BOOST_TEST(choose_image(m, "", {"arm64", "v8", true}).digest.text() == kept);
    m.blobs.erase(kept);
    const Error e = refused(m, "", {"arm64", "v8", true});
    BOOST_TEST(contains(e.message(), "blob " + gone + " is missing"));
    BOOST_TEST((e.code() == Code::not_found));
}

BOOST_AUTO_TEST_CASE(documents_that_do_not_match_their_digest_are_refused) {
    Memory m;
    m.index({m.image("amd64")});
    const std::string digest = m.last, good = m.blobs[digest];
    m.blobs[digest][good.size() - 3] ^= 1;
    BOOST_TEST(contains(refused(m, "").message(), "do not match their digest"));
    BOOST_TEST((refused(m, "").code() == Code::corrupt));
    m.blobs[digest] = good.substr(0, good.size() - 1);
    BOOST_TEST(contains(refused(m, "").message(), "are announced"));
    m.blobs[digest] = good;
    // The same for the config.
    const auto chosen = choose_image(m, "", amd64);
    m.blobs[chosen.manifest.config.digest.text()][2] ^= 1;
    BOOST_TEST(contains(refused(m, "").message(), "do not match their digest"));
    m.blobs.erase(chosen.manifest.config.digest.text());
    BOOST_TEST(contains(refused(m, "").message(), "blob " + chosen.manifest.config.digest.text() + " is missing"));
}

BOOST_AUTO_TEST_CASE(as_many_diff_ids_as_layers_are_needed) {
    Memory m;
    const std::string config =
        m.put(R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})");
    const std::string manifest =
        m.put(R"({"schemaVersion":2,"config":)" + m.descriptor("application/vnd.oci.image.config.v1+json", config) +
              R"(,"layers":[)" + m.descriptor("application/vnd.oci.image.layer.v1.tar", m.put("x")) + "]}");
    m.index({m.descriptor("application/vnd.oci.image.manifest.v1+json", manifest)});
    const Error e = refused(m, "");
    BOOST_TEST(contains(e.message(), "1 layers and the config 0 diff_ids"));
    BOOST_TEST((e.code() == Code::corrupt));
}

BOOST_AUTO_TEST_CASE(another_architecture_is_a_warning_unless_it_was_asked_for) {
    Memory m;
    m.index({m.image("arm64")});
    const auto chosen = choose_image(m, "", amd64);
    BOOST_REQUIRE(chosen.warnings.size() == 1u);
    BOOST_TEST(contains(chosen.warnings[0], "the image's architecture (linux/arm64)"));
    BOOST_TEST(contains(refused(m, "", {"amd64", "", true}).message(), "the image's architecture"));
}

BOOST_AUTO_TEST_CASE(a_layout_without_its_files_says_which) {
    Memory m;
    BOOST_TEST(contains(refused(m, "").message(), "it has no index.json"));
    m.documents["manifest.json"] = "[]";
    BOOST_TEST(contains(refused(m, "").hint(), "docker-archive"));
    m.index({});
    BOOST_TEST(contains(refused(m, "").message(), "there is no image in MEM"));
    m.index({m.image("amd64")});
    m.documents["oci-layout"] = R"({"imageLayoutVersion":"2.0.0"})";
    BOOST_TEST(contains(refused(m, "").message(), "is of version \"2.0.0\""));
    m.documents["oci-layout"] = R"({"imageLayoutVersion":"1.1.0","more":1})";
    BOOST_TEST(choose_image(m, "", amd64).warnings.size() == 1u);
    m.documents.erase("oci-layout");
    BOOST_TEST(choose_image(m, "", amd64).warnings.size() == 1u);
    m.documents["oci-layout"] = "";
    BOOST_TEST(contains(refused(m, "").message(), "oci-layout is empty"));
}

BOOST_AUTO_TEST_CASE(embedded_content_stands_for_a_blob_that_is_not_there) {
    Memory m;
    // "{}" is the config of many artifacts; here an image's config is embedded in its descriptor.
    const std::string config = R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})";
    std::string encoded;
    {
        std::vector<unsigned char> out(config.size() * 2);
        encoded.assign(
            reinterpret_cast<char*>(out.data()),
            static_cast<size_t>(EVP_EncodeBlock(out.data(), reinterpret_cast<const unsigned char*>(config.data()),
                                                static_cast<int>(config.size()))));
    }
    const std::string manifest =
        m.put(R"({"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" +
              fixture::sha256(config) + R"(","size":)" + std::to_string(config.size()) + R"(,"data":")" + encoded +
              R"("},"layers":[]})");
    m.index({m.descriptor("application/vnd.oci.image.manifest.v1+json", manifest)});
    BOOST_TEST(choose_image(m, "", amd64).config == config);
}

BOOST_AUTO_TEST_CASE(names_in_messages_cannot_move_the_cursor) {
    Memory m;
    m.index({m.image("amd64", ref_name("a\\u001b[2Jb"), "1"), m.image("amd64", ref_name("c"), "2")});
    BOOST_TEST(refused(m, "").hint().find('\x1b') == std::string::npos);
    BOOST_TEST(refused(m, "x\x1b[2J").message().find('\x1b') == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
