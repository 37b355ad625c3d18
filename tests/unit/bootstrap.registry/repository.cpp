// Manifests and blobs as a registry answers with them, honest and not.
#include "registry/repository.hpp"

#include "fake_clock.hpp"
#include "fake_registry.hpp"
#include "registry/session.hpp"

using namespace fake;
using fixture::contains;
using fixture::error_of;
using fixture::sha256;
using registry::Repository;

namespace {

const std::string oci_manifest = "application/vnd.oci.image.manifest.v1+json";
const std::string oci_index = "application/vnd.oci.image.index.v1+json";

std::string descriptor(const std::string& type, const std::string& bytes, const std::string& more = {}) {
    return R"({"mediaType":")" + type + R"(","digest":")" + sha256(bytes) + R"(","size":)" + std::to_string(bytes.size()) + more + "}";
}

// A registry with one image; parts of it can be bent.
struct Shelf : World {
    FakeClock clock;
    std::map<std::string, Reply> at;  // by path
    std::string config = R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})";
    std::string manifest = R"({"schemaVersion":2,"mediaType":")" + oci_manifest + R"(","config":)" +
                           descriptor("application/vnd.oci.image.config.v1+json", config) + R"(,"layers":[]})";
    Shelf() {
        put("latest", manifest, oci_manifest);
        put(sha256(manifest), manifest, oci_manifest);
        at["/v2/a/b/blobs/" + sha256(config)] = {200, config, {}};
        answer = [this](const Seen& s) -> Reply {
            const auto it = at.find(s.path());
            if (it == at.end()) return {404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})", {}};
            Reply r = it->second;
            if (s.method == "HEAD") r.body.clear();
            if (s.range_begin > 0 && r.status == 200 && r.headers.empty()) {
                r.status = 206;
                r.body = r.body.substr(s.range_begin);
            }
            return r;
        };
    }
    void put(const std::string& reference, const std::string& bytes, const std::string& type) {
        at["/v2/a/b/manifests/" + reference] = {200, bytes, {{"Content-Type", type}, {"Docker-Content-Digest", sha256(bytes)}}};
    }
    Repository repository(const std::string& reference = "r.org/a/b", const std::string& conf_text = {}) {
        registry::RegistriesConf conf;
        if (!conf_text.empty()) conf.add(conf_text, "test.conf");
        const auto r = sources::parse_image_reference(reference);
        return Repository(r, registry::endpoints_of(r, conf, false),
                          std::make_shared<registry::Accounts>(singularity::SourceSpec{}), clock);
    }
    registry::PlatformImage choose(Repository& r, const std::string& arch = "amd64") {
        return registry::choose_platform(r, {arch, "", false}, host);
    }
    // A blob of these bytes, and what is announced about it.
    sources::Descriptor blob(const std::string& bytes, std::optional<uint64_t> size = {}) {
        at["/v2/a/b/blobs/" + sha256(bytes)] = {200, bytes, {}};
        return {"", *singularity::Digest::try_parse(sha256(bytes)), size.value_or(bytes.size()), {}, {}, {}, {}, {}};
    }
    std::string read(Repository& r, const sources::Descriptor& d) {
        const auto stream = r.blob(d, host);
        return singularity::read_all(*stream, 1 << 30, "the blob");
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(repositories)

BOOST_AUTO_TEST_CASE(a_tag_costs_one_head_and_a_digest_nothing) {
    Shelf s;
    Repository r = s.repository();
    BOOST_TEST(r.digest(s.host).text() == sha256(s.manifest));
    BOOST_TEST(seen.size() == 1u);
    BOOST_TEST(seen[0].method == "HEAD");
    Repository by_digest = s.repository("r.org/a/b@" + sha256(s.manifest));
    BOOST_TEST(by_digest.digest(s.host).text() == sha256(s.manifest));
    BOOST_TEST(seen.size() == 1u);
}

BOOST_AUTO_TEST_CASE(the_image_that_was_resolved_is_the_one_that_is_read) {
    Shelf s;
    Repository r = s.repository();
    r.digest(s.host);
    const std::string newer = R"({"schemaVersion":2,"manifests":[]})";
    s.put("latest", newer, oci_index);
    BOOST_TEST(r.manifest(s.host).bytes == s.manifest);
}

BOOST_AUTO_TEST_CASE(a_manifest_that_was_read_is_read_again_without_a_request) {
    Shelf s;
    Repository r = s.repository();
    BOOST_TEST(r.manifest(s.host).bytes == s.manifest);
    s.put("latest", R"({"schemaVersion":2,"manifests":[]})", oci_index);
    BOOST_TEST(r.manifest(s.host).bytes == s.manifest);
    BOOST_TEST(r.digest(s.host).text() == sha256(s.manifest));
    BOOST_TEST(seen.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_server_that_tells_no_digest_is_asked_for_the_bytes) {
    Shelf s;
    s.at["/v2/a/b/manifests/latest"].headers = {{"Content-Type", oci_manifest + "; charset=utf-8"}};
    Repository r = s.repository();
    BOOST_TEST(r.digest(s.host).text() == sha256(s.manifest));
    BOOST_TEST(r.manifest(s.host).bytes == s.manifest);
    BOOST_TEST(seen.size() == 2u);  // HEAD, GET, and no third
}

BOOST_AUTO_TEST_CASE(all_types_are_accepted_so_that_nothing_is_converted) {
    Shelf s;
    s.repository().digest(s.host);
    std::string all;
    for (const auto& [k, v] : seen[0].headers)
        if (k == "Accept") all += v + " ";
    for (const char* type : {"oci.image.manifest.v1", "oci.image.index.v1", "docker.distribution.manifest.v2+json", "manifest.list.v2"})
        BOOST_TEST(contains(all, type));
}

BOOST_AUTO_TEST_CASE(a_denied_image_is_told_of_in_the_seed_s_words) {
    Shelf s;
    answer = [](const Seen& q) -> Reply {
        if (q.method == "HEAD") return {401, "", {}};
        return {401, R"({"errors":[{"code":"DENIED","message":"requested access to the resource is denied"},
                       {"code":"UNAUTHORIZED","message":"authentication required"}]})", {}};
    };
    Repository r = s.repository("ilumb/mylolcow");
    const Error e = error_of([&] { r.digest(s.host); });
    BOOST_TEST(e.message() == "conveyor failed to get: Error reading manifest latest in docker.io/ilumb/mylolcow: errors:\u2028"
                              "denied: requested access to the resource is denied\u2028unauthorized: authentication required");
    BOOST_TEST((e.code() == Code::unauthorized));
}

BOOST_AUTO_TEST_CASE(answers_that_are_no_manifests_are_refused) {
    const std::string lie = "sha256:" + std::string(64, '0');
    const std::string both = R"({"schemaVersion":2,"manifests":[],"config":{},"layers":[]})";
    const std::string schema1 = R"({"schemaVersion":1,"name":"x","fsLayers":[]})";
    struct {
        Reply reply;
        const char* why;
    } const cases[] = {
        {{200, "<html>log in</html>", {{"Content-Type", "text/html"}}}, "web page"},
        {{200, "  <!DOCTYPE html>", {}}, "web page"},
        {{200, "", {{"Content-Type", oci_manifest}}}, "empty"},
        {{200, "{", {{"Content-Type", oci_manifest}}}, "not JSON"},
        {{200, "[]", {{"Content-Type", oci_manifest}}}, "not an object"},
        {{200, both, {{"Content-Type", oci_index}}}, "ambiguous"},
        {{200, R"({"schemaVersion":2,"mediaType":")" + oci_index + R"(","manifests":[]})", {{"Content-Type", oci_manifest}}}, "is listed as"},
        {{200, schema1, {{"Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws"}}}, "schema 1"},
        {{200, schema1, {{"Content-Type", "application/json"}}}, "schema 1"},
        {{200, std::string(5 << 20, ' ') + "{}", {}}, "larger than the limit"},
        {{200, "{}", {}, {}, UINT64_C(40) << 20}, "larger than the limit"},
        {{200, R"({"schemaVersion":2,"layers":[],"config":{}})", {{"Docker-Content-Digest", lie}}}, "does not match the digest"},
        {{404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})", {}}, "manifest unknown: manifest unknown"},
        {{403, "forbidden", {}}, "403 (Forbidden): forbidden"},
        {{500, "", {}}, "500 (Internal Server Error)"},
    };
    for (const auto& c : cases) {
        Shelf s;
        s.at["/v2/a/b/manifests/latest"] = c.reply;
        const Error e = error_of([&] {
            Repository r = s.repository();
            s.choose(r);
        });
        BOOST_TEST(contains(e.message(), c.why));
        BOOST_TEST(contains(e.message(), "a/b"));
    }
}

BOOST_AUTO_TEST_CASE(other_bytes_than_the_digest_says_are_refused_by_any_path) {
    Shelf s;
    s.at["/v2/a/b/manifests/" + sha256(s.manifest)].body += " ";
    s.at["/v2/a/b/manifests/" + sha256(s.manifest)].headers.pop_back();
    Repository by_digest = s.repository("r.org/a/b@" + sha256(s.manifest));
    BOOST_TEST((error_of([&] { by_digest.manifest(s.host); }).code() == Code::corrupt));
    Repository by_tag = s.repository();
    by_tag.digest(s.host);
    BOOST_TEST((error_of([&] { by_tag.manifest(s.host); }).code() == Code::corrupt));
    // The config, too.
    const auto d = s.blob("config bytes");
    s.at["/v2/a/b/blobs/" + sha256("config bytes")].body = "config bytEs";
    BOOST_TEST((error_of([&] { by_tag.read_config(d, 1000, s.host); }).code() == Code::corrupt));
    BOOST_TEST((error_of([&] { by_tag.read_config(s.blob(std::string(2000, 'x')), 1000, s.host); }).code() == Code::limit));
}

BOOST_AUTO_TEST_CASE(indexes_lead_to_the_platform_that_is_wanted) {
    Shelf s;
    const std::string arm = R"({"schemaVersion":2,"config":)" + descriptor("application/vnd.oci.image.config.v1+json", "{}") + R"(,"layers":[ ]})";
    s.put(sha256(arm), arm, oci_manifest);
    const std::string index = R"({"schemaVersion":2,"manifests":[)" +
                              descriptor(oci_manifest, s.manifest, R"(,"platform":{"os":"linux","architecture":"amd64"})") + "," +
                              descriptor(oci_manifest, arm, R"(,"platform":{"os":"linux","architecture":"arm64"})") + "]}";
    s.put("latest", index, oci_index);
    Repository r = s.repository();
    BOOST_TEST(s.choose(r).found.bytes == s.manifest);
    BOOST_TEST(s.choose(r, "arm64").found.bytes == arm);
    const Error e = error_of([&] { s.choose(r, "s390x"); });
    BOOST_TEST(contains(e.message(), "no image for linux/s390x in r.org/a/b:latest; there is linux/amd64, linux/arm64"));
    // An index in an index in an index, without end.
    const std::string circle = R"({"schemaVersion":2,"manifests":[{"mediaType":")" + oci_index + R"(","digest":"sha256:)" + std::string(64, 'a') +
                               R"(","size":5,"platform":{"os":"linux","architecture":"amd64"}}]})";
    s.put("latest", circle, oci_index);
    s.at["/v2/a/b/manifests/sha256:" + std::string(64, 'a')] = {200, circle, {}};
    Repository round = s.repository();
    BOOST_TEST((error_of([&] { s.choose(round); }).code() == Code::corrupt));
}

BOOST_AUTO_TEST_CASE(mirrors_are_tried_in_order_and_the_one_that_answers_stays) {
    const std::string conf = "[[registry]]\nlocation='r.org'\n[[registry.mirror]]\nlocation='one.org'\n[[registry.mirror]]\nlocation='two.org/x'\n";
    Shelf s;
    const auto usual = answer;
    std::string alive = "two.org";
    answer = [&](const Seen& q) -> Reply {
        if (q.url.find("//" + alive + "/") == std::string::npos) {
            if (q.url.find("//one.org/") != std::string::npos) throw broken(ECONNREFUSED);
            return {404, "", {}};
        }
        Seen at_home = q;
        if (const size_t i = at_home.url.find("/v2/x/"); i != std::string::npos) at_home.url.replace(i, 6, "/v2/");
        return usual(at_home);
    };
    Repository r = s.repository("r.org/a/b", conf);
    BOOST_TEST(r.digest(s.host).text() == sha256(s.manifest));
    r.manifest(s.host);
    BOOST_TEST(contains(seen.back().url, "https://two.org/v2/x/a/b/manifests/"));
    BOOST_TEST(s.count("HEAD") == 2u);
    BOOST_TEST(!s.silent_about("mirror one.org"));
    // None has it: the registry itself is told of, the mirrors in the hint.
    alive = "nobody";
    Repository none = s.repository("r.org/a/b", conf);
    const Error e = error_of([&] { none.digest(s.host); });
    BOOST_TEST(contains(e.message(), "Error reading manifest latest in r.org/a/b"));
    BOOST_TEST(contains(e.hint(), "one.org, two.org"));
    // By digest as well, with nothing asked before.
    alive = "two.org";
    Repository by_digest = s.repository("r.org/a/b@" + sha256(s.manifest), conf);
    BOOST_TEST(by_digest.manifest(s.host).bytes == s.manifest);
}

BOOST_AUTO_TEST_CASE(a_refusal_tells_where_the_configuration_leads) {
    Shelf s;
    answer = [](const Seen&) -> Reply { return {404, "", {}}; };
    Repository r = s.repository("r.org/a/b", "[[registry]]\nprefix='r.org/a'\nlocation='cache.org:5000/hub'\n");
    const Error e = error_of([&] { r.digest(s.host); });
    BOOST_TEST(contains(e.message(), "in r.org/a/b"));
    BOOST_TEST(contains(e.hint(), "leads to cache.org:5000/hub/b, which was asked. Check"));
    Repository plain = s.repository("r.org/a/b", "[[registry]]\nlocation='r.org'\n");
    BOOST_TEST(!contains(error_of([&] { plain.digest(s.host); }).hint(), "leads"));
}

// The mirror m.org has the image's manifest; what it does with blobs is the case.
BOOST_AUTO_TEST_CASE(what_a_mirror_lacks_comes_from_the_next_server) {
    const std::string conf = "[[registry]]\nlocation='r.org'\n[[registry.mirror]]\nlocation='m.org'\n";
    const std::string bytes = std::string(1000, 'x') + "the end";
    for (const char* fault : {"lacks it", "breaks", "is gone"}) {
        Shelf s;
        const auto d = s.blob(bytes);
        const auto usual = answer;
        answer = [&](const Seen& q) -> Reply {
            Seen at_home = q;
            const size_t i = at_home.url.find("//m.org/");
            if (i == std::string::npos) return usual(q);
            at_home.url.replace(i, 8, "//r.org/");
            Reply reply = usual(at_home);
            if (q.url.find("/blobs/") == std::string::npos) return reply;
            if (fault == std::string("lacks it")) return {404, "", {}};
            if (fault == std::string("is gone")) throw broken(ECONNREFUSED);
            reply.breaks_after = q.range_begin == 0 ? 10 : 0;
            return reply;
        };
        Repository r = s.repository("r.org/a/b", conf);
        r.manifest(s.host);
        BOOST_TEST(contains(seen.back().url, "//m.org/"));
        BOOST_TEST_CONTEXT("a mirror that " << fault) {
            BOOST_TEST((s.read(r, d) == bytes));
            BOOST_TEST(contains(seen.back().url, "//r.org/"));
        }
    }
}

BOOST_AUTO_TEST_CASE(a_manifest_that_a_mirror_lost_comes_from_the_next_server) {
    const std::string conf = "[[registry]]\nlocation='r.org'\n[[registry.mirror]]\nlocation='m.org'\n";
    Shelf s;
    const auto usual = answer;
    answer = [&](const Seen& q) -> Reply {
        if (q.url.find("//m.org/") == std::string::npos) return usual(q);
        if (q.method != "HEAD") return {404, "", {}};
        Seen at_home = q;
        at_home.url.replace(at_home.url.find("//m.org/"), 8, "//r.org/");
        return usual(at_home);
    };
    Repository r = s.repository("r.org/a/b", conf);
    BOOST_TEST(r.digest(s.host).text() == sha256(s.manifest));
    BOOST_TEST(r.manifest(s.host).bytes == s.manifest);
    BOOST_TEST(!s.silent_about("mirror m.org"));
}

BOOST_AUTO_TEST_CASE(a_blob_goes_on_where_the_connection_broke) {
    Shelf s;
    Repository r = s.repository();
    const std::string bytes = std::string(3 << 20, 'x') + "the end";
    const auto d = s.blob(bytes);
    const auto usual = answer;
    for (const bool ranges : {true, false}) {
        int breaks = 3;
        seen.clear();
        answer = [&](const Seen& q) -> Reply {
            Seen whole = q;
            if (!ranges) whole.range_begin = 0;
            Reply reply = usual(whole);
            if (breaks-- > 0) reply.breaks_after = (1 << 20) + 5 + (ranges ? 0 : q.range_begin);
            return reply;
        };
        BOOST_TEST((s.read(r, d) == bytes));
        BOOST_TEST(seen.size() == 3u);
    }
}

BOOST_AUTO_TEST_CASE(a_blob_that_does_not_get_on_is_given_up) {
    Shelf s;
    Repository r = s.repository();
    const auto d = s.blob(std::string(1000, 'x'));
    const auto usual = answer;
    answer = [&](const Seen& q) {
        Reply reply = usual(q);
        reply.breaks_after = q.range_begin == 0 ? 10 : 0;
        return reply;
    };
    const Error e = error_of([&] { s.read(r, d); });
    BOOST_TEST((e.code() == Code::network));
    BOOST_TEST(contains(e.message(), d.digest.text()));
    BOOST_TEST(seen.size() == 3u);
}

BOOST_AUTO_TEST_CASE(a_blob_of_another_size_is_refused) {
    Shelf s;
    Repository r = s.repository();
    const std::string bytes(1000, 'x');
    BOOST_TEST((error_of([&] { s.read(r, s.blob(bytes, 999)); }).code() == Code::corrupt));
    BOOST_TEST((error_of([&] { s.read(r, s.blob(bytes, 1001)); }).code() == Code::corrupt));
    // The server does not say how much it sends.
    s.blob(bytes);
    s.at["/v2/a/b/blobs/" + sha256(bytes)].announced = SG_SIZE_UNKNOWN;
    sources::Descriptor d = s.blob(bytes, 999);
    s.at["/v2/a/b/blobs/" + sha256(bytes)].announced = SG_SIZE_UNKNOWN;
    BOOST_TEST((error_of([&] { s.read(r, d); }).code() == Code::corrupt));
    d.size = 1001;
    BOOST_CHECK_THROW(s.read(r, d), Error);
    // The range that comes is not the one that was asked for.
    const auto usual = answer;
    answer = [&](const Seen& q) -> Reply {
        if (q.range_begin == 0) return {200, bytes, {}, 10};
        return {206, bytes.substr(5), {{"Content-Range", "bytes 5-999/1000"}}, {}, SG_SIZE_UNKNOWN};
    };
    d.size = 1000;
    BOOST_TEST((error_of([&] { s.read(r, d); }).code() == Code::corrupt));
    BOOST_TEST((error_of([&] {
        answer = [](const Seen&) -> Reply { return {404, R"({"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]})", {}}; };
        s.read(r, d);
    }).code() == Code::not_found));
}

BOOST_AUTO_TEST_CASE(foreign_layers_come_from_their_own_urls) {
    Shelf s;
    Repository r = s.repository();
    const std::string bytes = "microsoft's own";
    auto d = s.blob(bytes);
    s.at.erase("/v2/a/b/blobs/" + sha256(bytes));
    d.urls = {"file:///etc/passwd", "https://169.254.169.254/x", "https://cdn.org/gone", "https://cdn.org/there"};
    s.at["/there"] = {200, bytes, {}};
    BOOST_TEST(s.read(r, d) == bytes);
    for (const Seen& q : seen) {
        BOOST_TEST(!contains(q.url, "169.254"));
        if (contains(q.url, "cdn.org")) BOOST_TEST(q.header("Authorization") == "");
    }
    d.urls.pop_back();
    BOOST_TEST((error_of([&] { s.read(r, d); }).code() == Code::not_found));
}

BOOST_AUTO_TEST_CASE(files_are_called_after_the_repository_and_tag) {
    const auto name = [](const char* reference) { return registry::file_name(sources::parse_image_reference(reference)); };
    const std::string hex(64, 'a');
    BOOST_TEST(name("godlovedc/lolcow") == "lolcow_latest.sif");
    BOOST_TEST(name("h:5000/a/b/lolcow:v1.2") == "lolcow_v1.2.sif");
    BOOST_TEST(name(("lolcow@sha256:" + hex).c_str()) == "lolcow_sha256." + hex + ".sif");
    BOOST_TEST(name(("lolcow:3@sha256:" + hex).c_str()) == "lolcow_3.sif");
    BOOST_TEST(name((std::string(200, 'x') + "@sha512:" + hex + hex).c_str()).size() < 256u);
}

BOOST_AUTO_TEST_CASE(registry_and_namespace_stand_before_the_name) {
    singularity::SourceSpec s;
    s.reference = "lolcow:1";
    s.options = {{"namespace", "godlovedc"}};
    BOOST_TEST(registry::reference_of(s).text() == "docker.io/godlovedc/lolcow:1");
    s.options.emplace_back("registry", "nvcr.io");
    BOOST_TEST(registry::reference_of(s).text() == "nvcr.io/godlovedc/lolcow:1");
    s.options = {{"registry", "nvcr.io"}};
    s.reference = "nvidia/pytorch:18.11-py3";
    BOOST_TEST(registry::reference_of(s).text() == "nvcr.io/nvidia/pytorch:18.11-py3");
    s.options.clear();
    s.reference = "lolcow";
    BOOST_TEST(registry::reference_of(s).text() == "docker.io/library/lolcow:latest");
}

BOOST_AUTO_TEST_SUITE_END()
