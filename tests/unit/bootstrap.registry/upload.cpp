// Pushing: what is sent, what is spared, and what happens when it breaks.
#include "registry/upload.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "fake_clock.hpp"
#include "fake_registry.hpp"

using namespace fake;
using fixture::contains;
using fixture::error_of;
using fixture::sha256;
using registry::Client;
using registry::Uploader;

namespace {

// What the host keeps for later processes; a test plays several of them.
std::map<std::string, std::string> kept_texts;
std::set<std::string> held_elsewhere;
std::vector<std::string> taken_by;

const void* with_state(const char* name, uint32_t version) {
    struct Held {
        std::string key;
    };
    static const auto of = [](sg_state* s) -> Held& { return *reinterpret_cast<Held*>(s); };
    static const sg_host_state_v1 state = {
        [](const char* plugin, const char* key, uint64_t, sg_state** out, sg_error* err) -> int32_t {
            taken_by.emplace_back(plugin);
            if (held_elsewhere.count(key)) return singularity::fill(err, Code::exists, "another process has it");
            *out = reinterpret_cast<sg_state*>(new Held{key});
            return SG_OK;
        },
        [](sg_state* s, char* out, uint64_t capacity, sg_error*) -> int32_t {
            const auto at = kept_texts.find(of(s).key);
            if (at == kept_texts.end()) return SG_ENOTFOUND;
            at->second.copy(out, capacity);
            return SG_OK;
        },
        [](sg_state* s, const char* text, sg_error*) -> int32_t { return kept_texts[of(s).key] = text, SG_OK; },
        [](sg_state* s, sg_error*) -> int32_t { return kept_texts.erase(of(s).key), SG_OK; },
        [](sg_state* s) { delete &of(s); }};
    if (std::string_view(name) == "state" && version == 1) return &state;
    return tables(name, version);
}

// A registry that takes uploads, as the specification has it.
struct Depot : World {
    FakeClock clock;
    std::map<std::string, std::string> blobs, manifests;
    std::string upload;  // what has come of the one in progress
    int failures = 0;    // of PATCH, after half of the chunk was kept
    bool takes_chunks = true;
    bool lost = false;  // the upload is known no more
    std::string location = "/v2/a/b/blobs/uploads/7?state=x";
    bool forgets = false;  // an upload that broke within a chunk

    Depot() {
        kept_texts.clear();
        held_elsewhere.clear();
        taken_by.clear();
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
            lost = false;
            return {202, "", {{"Location", location}}};
        }
        if (s.method == "PATCH") {
            if (!takes_chunks) return {405, "", {}};
            if (lost) return {404, "", {}};
            if (s.header("Content-Range").rfind(std::to_string(upload.size()) + "-", 0) != 0) return {416, "", {}};
            if (failures > 0) {
                --failures;
                upload += s.body.substr(0, s.body.size() / 2);
                lost = forgets;
                throw broken();
            }
            upload += s.body;
            return {202, "", {{"Location", "/v2/a/b/blobs/uploads/7?state=" + std::to_string(upload.size())}}};
        }
        if (s.method == "GET") {
            if (lost)
                return {404, R"({"errors":[{"code":"BLOB_UPLOAD_INVALID","message":"blob upload invalid"}]})", {}};
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

BOOST_AUTO_TEST_CASE(an_upload_that_the_registry_gave_up_is_begun_anew) {
    Depot d;
    d.forgets = true;
    d.failures = 2;
    Client c = d.client();
    Uploader(c, 1000).blob(d.outgoing(bytes), {}, d.host);
    BOOST_TEST(d.blobs[sha256(bytes)] == bytes);
    BOOST_TEST(d.count("POST") == 3u);
    // But not for ever.
    d.blobs.clear();
    d.failures = 1000;
    BOOST_TEST((error_of([&] { Uploader(c, 1000).blob(d.outgoing(bytes), {}, d.host); }).code() == Code::network));
}

namespace {

// A process that ends without a word in the middle of a push: what the registry has then.
uint64_t killed_push(Depot& d, Client& c, unsigned patches) {
    struct Killed {};
    const auto usual = answer;
    answer = [&, usual](const Seen& s) -> Reply {
        if (s.method == "PATCH" && patches-- == 0) {
            d.upload += s.body.substr(0, s.body.size() / 3);
            fixture::cancel_flag = 1;
            throw Error(Code::cancelled, "killed");
        }
        return usual(s);
    };
    error_of([&] { Uploader(c, 1000, "oras").blob(d.outgoing(bytes), {}, d.host); });
    fixture::cancel_flag = 0;
    answer = usual;
    seen.clear();
    fixture::log_lines.clear();
    return d.upload.size();
}

bool logged(const std::string& part) {
    return std::any_of(fixture::log_lines.begin(), fixture::log_lines.end(),
                       [&](const std::string& l) { return contains(l, part); });
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_push_that_was_broken_off_goes_on_in_another_process) {
    Depot d;
    fixture::more_tables = with_state;
    Client c = d.client();
    const uint64_t has = killed_push(d, c, 2);
    BOOST_TEST(has == 2333u);
    BOOST_TEST(kept_texts.size() == 1u);
    BOOST_TEST(taken_by.back() == "oras");
    Client next = d.client();
    BOOST_TEST((Uploader(next, 1000, "oras").blob(d.outgoing(bytes), {}, d.host) == Uploader::Outcome::sent));
    BOOST_TEST(d.blobs[sha256(bytes)] == bytes);
    BOOST_TEST(d.count("POST") == 0u);
    uint64_t sent = 0;
    for (const Seen& s : seen) sent += s.method == "PATCH" ? s.body.size() : 0;
    BOOST_TEST(sent == bytes.size() - has);
    BOOST_TEST(logged("has 2333 of 3890 bytes"));
    BOOST_TEST(kept_texts.empty());
    // Nothing of the location, which may be a secret, is in the log.
    BOOST_TEST(d.silent_about("state="));
}

BOOST_AUTO_TEST_CASE(a_push_that_fails_on_the_way_keeps_its_place_and_says_so) {
    Depot d;
    fixture::more_tables = with_state;
    Client c = d.client();
    const auto usual = answer;
    answer = [&, usual](const Seen& s) -> Reply {
        if (d.upload.size() >= 2000) throw broken(ECONNREFUSED);
        return usual(s);
    };
    const Error e = error_of([&] { Uploader(c, 1000, "oras").blob(d.outgoing(bytes), {}, d.host); });
    BOOST_TEST(contains(e.hint(), "Give the same command again"));
    BOOST_TEST(d.count("DELETE") == 0u);
    BOOST_TEST(kept_texts.size() == 1u);
    // A refusal is no reason to come again.
    answer = [&, usual](const Seen& s) -> Reply { return s.method == "PATCH" ? Reply{403, "", {}} : usual(s); };
    BOOST_TEST((error_of([&] { Uploader(c, 1000, "oras").blob(d.outgoing(bytes), {}, d.host); }).code() ==
                Code::unauthorized));
    BOOST_TEST(d.count("DELETE") == 2u);
    BOOST_TEST(kept_texts.empty());
}

BOOST_AUTO_TEST_CASE(an_upload_that_cannot_go_on_is_begun_anew) {
    // What the registry, or the disk, makes of the place that was kept.
    const std::vector<std::function<void(Depot&)>> cases = {
        [](Depot& d) { d.lost = true; },                                      // forgotten
        [](Depot& d) { d.upload.clear(); },                                   // emptied
        [](Depot& d) { d.upload.assign(bytes.size() + 1, 'x'); },             // more than there is
        [](Depot&) { kept_texts.begin()->second = "0 file:///etc/passwd"; },  // no URL
        [](Depot&) { kept_texts.begin()->second = "nothing"; },               // no text of ours
        [](Depot&) { kept_texts.begin()->second = ""; },
        [](Depot& d) { d.upload.replace(0, 10, "0123456789"); },  // other bytes
    };
    for (size_t i = 0; i < cases.size(); ++i) {
        Depot d;
        fixture::more_tables = with_state;
        Client c = d.client();
        killed_push(d, c, 2);
        BOOST_REQUIRE(kept_texts.size() == 1u);
        cases[i](d);
        Client next = d.client();
        Uploader(next, 1000, "oras").blob(d.outgoing(bytes), {}, d.host);
        BOOST_TEST(d.blobs[sha256(bytes)] == bytes, "case " << i);
        BOOST_TEST(d.count("POST") == 1u, "case " << i);
        BOOST_TEST(logged("did not keep") == (i == 0 || i == 2), "case " << i);
        BOOST_TEST(kept_texts.empty(), "case " << i);
    }
}

BOOST_AUTO_TEST_CASE(other_bytes_another_repository_and_another_process_have_places_of_their_own) {
    Depot d;
    fixture::more_tables = with_state;
    Client c = d.client();
    killed_push(d, c, 2);
    const std::string key = kept_texts.begin()->first;
    Uploader(c, 1000, "oras").blob(d.outgoing(bytes + "more"), {}, d.host);
    BOOST_TEST(d.count("POST") == 1u);
    BOOST_TEST(kept_texts.count(key) == 1u);
    BOOST_TEST(contains(key, "r.org\na/b\nsha256:"));
    // While another process is at it, this one does all of the work.
    seen.clear();
    held_elsewhere.insert(key);
    Uploader(c, 1000, "oras").blob(d.outgoing(bytes), {}, d.host);
    BOOST_TEST(d.count("POST") == 1u);
    BOOST_TEST(kept_texts.count(key) == 1u);
    // What has arrived in another way needs no place.
    held_elsewhere.clear();
    BOOST_TEST((Uploader(c, 1000, "oras").blob(d.outgoing(bytes), {}, d.host) == Uploader::Outcome::present));
    BOOST_TEST(kept_texts.empty());
    // A small blob goes in one piece: nothing of it is kept.
    taken_by.clear();
    Uploader(c, 1 << 20, "oras").blob(d.outgoing(bytes + "small"), {}, d.host);
    BOOST_TEST(taken_by.empty());
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
