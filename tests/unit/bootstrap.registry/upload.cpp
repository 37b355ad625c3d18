// Pushing: what is sent, what is spared, and what happens when it breaks.
#include "registry/upload.hpp"

#include "fake_clock.hpp"
#include "fake_registry.hpp"

using namespace fake;
using fixture::contains;
using fixture::error_of;
using fixture::sha256;
using registry::Client;
using registry::Uploader;

namespace {

// A registry that takes uploads, as the specification has it.
struct Depot : World {
    FakeClock clock;
    std::map<std::string, std::string> blobs, manifests;
    std::string upload;  // what has come of the one in progress
    int failures = 0;    // of PATCH, after half of the chunk was kept
    bool takes_chunks = true;
    std::string location = "/v2/a/b/blobs/uploads/7?state=x";

    Depot() {
        answer = [this](const Seen& s) { return serve(s); };
    }
    Reply serve(const Seen& s) {
        const std::string path = s.path();
        if (s.method == "HEAD") {
            const std::string digest = path.substr(path.rfind('/') + 1);
            return {blobs.count(digest) ? 200u : 404u, "", {}};
        }
        if (s.method == "POST") {
            if (contains(path, "mount=") && contains(path, "from=known")) return {201, "", {}};
            upload.clear();
            return {202, "", {{"Location", location}}};
        }
        if (s.method == "PATCH") {
            if (!takes_chunks) return {405, "", {}};
            if (s.header("Content-Range").rfind(std::to_string(upload.size()) + "-", 0) != 0) return {416, "", {}};
            if (failures > 0) {
                --failures;
                upload += s.body.substr(0, s.body.size() / 2);
                throw broken();
            }
            upload += s.body;
            return {202, "", {{"Location", "/v2/a/b/blobs/uploads/7?state=" + std::to_string(upload.size())}}};
        }
        if (s.method == "GET") {
            return {204, "", {{"Range", "0-" + std::to_string(upload.empty() ? 0 : upload.size() - 1)}}};
        }
        if (s.method == "PUT" && contains(path, "/manifests/")) {
            manifests[path.substr(path.rfind('/') + 1)] = s.body;
            return {201, "", {{"Docker-Content-Digest", sha256(s.body)}}};
        }
        if (s.method == "PUT") {
            if (!s.body.empty()) upload = s.body;
            const std::string digest = "sha256:" + path.substr(path.find("digest=sha256%3A") + 16);
            if (sha256(upload) != digest) return {400, R"({"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match"}]})", {}};
            blobs[digest] = upload;
            return {201, "", {}};
        }
        return {202, "", {}};  // DELETE
    }
    Client client() {
        registry::Endpoint e;
        e.host = "r.org";
        e.repository = "a/b";
        e.shown = e.server = "r.org/a/b";
        e.schemes = {"https"};
        return Client(e, std::make_shared<registry::Accounts>(singularity::SourceSpec{}), clock);
    }
    static registry::Outgoing outgoing(const std::string& bytes) {
        return {*singularity::Digest::try_parse(sha256(bytes)), bytes.size(),
                [bytes](uint64_t offset, uint64_t count) { return registry::stream_text(bytes.substr(offset, count)); }, "x"};
    }
};

const std::string bytes = [] {
    std::string out;
    for (int i = 0; i < 1000; ++i) out += std::to_string(i) + ",";
    return out;
}();

}  // namespace

BOOST_AUTO_TEST_SUITE(uploads)

BOOST_AUTO_TEST_CASE(a_small_blob_goes_in_one_piece) {
    Depot d;
    Client c = d.client();
    BOOST_TEST((Uploader(c, 1 << 20).blob(d.outgoing(bytes), {}, d.host) == Uploader::Outcome::sent));
    BOOST_TEST(d.blobs[sha256(bytes)] == bytes);
    BOOST_REQUIRE(seen.size() == 3u);
    BOOST_TEST(seen[2].url == "https://r.org/v2/a/b/blobs/uploads/7?state=x&digest=sha256%3A" + sha256(bytes).substr(7));
    BOOST_TEST(seen[2].header("Content-Type") == "application/octet-stream");
}

BOOST_AUTO_TEST_CASE(what_is_there_is_not_sent) {
    Depot d;
    d.blobs[sha256(bytes)] = bytes;
    Client c = d.client();
    BOOST_TEST((Uploader(c, 1 << 20).blob(d.outgoing(bytes), {}, d.host) == Uploader::Outcome::present));
    BOOST_TEST(seen.size() == 1u);
}

BOOST_AUTO_TEST_CASE(what_another_repository_has_is_mounted) {
    Depot d;
    Client c = d.client();
    BOOST_TEST((Uploader(c, 1 << 20).blob(d.outgoing(bytes), {"other", "known/x"}, d.host) == Uploader::Outcome::mounted));
    BOOST_TEST(d.count("PUT") == 0u);
    BOOST_TEST(d.count("DELETE") == 1u);  // the upload that the first mount turned into
}

BOOST_AUTO_TEST_CASE(a_large_blob_goes_in_chunks_and_on_after_a_break) {
    Depot d;
    d.failures = 2;
    Client c = d.client();
    Uploader(c, 1000).blob(d.outgoing(bytes), {}, d.host);
    BOOST_TEST(d.blobs[sha256(bytes)] == bytes);
    BOOST_TEST(d.count("PATCH") >= bytes.size() / 1000 + 2);
    BOOST_TEST(d.count("GET") == 2u);
    BOOST_TEST(seen.back().body.empty());
}

BOOST_AUTO_TEST_CASE(a_registry_that_lost_its_place_is_asked_for_it) {
    Depot d;
    Client c = d.client();
    const auto usual = answer;
    bool forgot = false;
    answer = [&](const Seen& s) {
        if (s.method == "PATCH" && d.upload.size() >= 2000 && !std::exchange(forgot, true)) d.upload.resize(1500);
        return usual(s);
    };
    Uploader(c, 1000).blob(d.outgoing(bytes), {}, d.host);
    BOOST_TEST(d.blobs[sha256(bytes)] == bytes);
}

BOOST_AUTO_TEST_CASE(a_registry_without_chunks_gets_one_piece) {
    Depot d;
    d.takes_chunks = false;
    Client c = d.client();
    Uploader(c, 1000).blob(d.outgoing(bytes), {}, d.host);
    BOOST_TEST(d.blobs[sha256(bytes)] == bytes);
}

BOOST_AUTO_TEST_CASE(an_upload_that_fails_is_taken_back) {
    Depot d;
    d.failures = 1000;
    Client c = d.client();
    const Error e = error_of([&] { Uploader(c, 1000).blob(d.outgoing(bytes), {}, d.host); });
    BOOST_TEST(contains(e.message(), "Error writing blob " + sha256(bytes) + " to r.org/a/b"));
    BOOST_TEST(seen.back().method == "DELETE");
    // Cancelled in the middle.
    d.failures = 0;
    const auto usual = answer;
    answer = [&](const Seen& s) {
        if (s.method == "PATCH") fixture::cancel_flag = 1;
        return s.method == "PATCH" ? Reply{503, "", {}} : usual(s);
    };
    BOOST_TEST((error_of([&] { Uploader(c, 1000).blob(d.outgoing(bytes), {}, d.host); }).code() == Code::cancelled));
    BOOST_TEST(seen.back().method == "DELETE");
}

BOOST_AUTO_TEST_CASE(refusals_are_told_in_the_registry_s_words) {
    Depot d;
    Client c = d.client();
    answer = [](const Seen& s) -> Reply {
        if (s.method == "HEAD") return {404, "", {}};
        return {403, R"({"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]})", {}};
    };
    const Error e = error_of([&] { Uploader(c, 1 << 20).blob(d.outgoing(bytes), {}, d.host); });
    BOOST_TEST(contains(e.message(), "denied: requested access to the resource is denied"));
    BOOST_TEST((e.code() == Code::unauthorized));
    answer = [](const Seen&) -> Reply { return {413, "", {}}; };
    BOOST_TEST((error_of([&] { Uploader(c, 1).manifest("latest", "{}", "t", d.host); }).code() == Code::limit));
    answer = [](const Seen&) -> Reply { return {201, "", {{"Docker-Content-Digest", "sha256:" + std::string(64, '0')}}}; };
    BOOST_TEST((error_of([&] { Uploader(c, 1).manifest("latest", "{}", "t", d.host); }).code() == Code::corrupt));
}

BOOST_AUTO_TEST_CASE(locations_that_no_upload_should_go_to_are_refused) {
    for (const char* location : {"", "file:///tmp/x", "http://169.254.169.254/x", "http://elsewhere.org/x"}) {
        Depot d;
        d.location = location;
        Client c = d.client();
        error_of([&] { Uploader(c, 1 << 20).blob(d.outgoing(bytes), {}, d.host); });
        BOOST_TEST(d.count("PUT") == 0u, location);
    }
    // A registry behind a proxy that does TLS for it.
    Depot d;
    d.location = "http://r.org/v2/a/b/blobs/uploads/7?state=x";
    Client c = d.client();
    Uploader(c, 1 << 20).blob(d.outgoing(bytes), {}, d.host);
    BOOST_TEST(seen.back().url.rfind("https://r.org/v2/a/b/blobs/uploads/7", 0) == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
