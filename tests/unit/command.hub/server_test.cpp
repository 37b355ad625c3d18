// The hub as a server: contexts of builds, limits, broken clients.
#include <poll.h>
#include <sys/resource.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <singularity/error.hpp>

#include "hub/server/rate_limit.hpp"
#include "hub/store/lock.hpp"
#include "running_hub.hpp"

using namespace hub;

namespace {

uint16_t port_of(const RunningHub& h) { return h.server->port(); }

std::string path_of(const std::string& url) { return url.substr(url.find("/upload")); }

// An image of alice's that waits for its bytes: its id.
std::string awaited_image(const RunningHub& h, const std::string& hash) {
    const auto make = [&](const std::string& list, const std::string& json) {
        const Answer a = ask(port_of(h), "POST", list, h.alice, json);
        BOOST_REQUIRE_MESSAGE(a.status == 201, list + ": " + a.body);
        return a.member("id");
    };
    const std::string entity = make("/v1/entities", R"({"name":"alice"})");
    const std::string collection = make("/v1/collections", R"({"name":"default","entity":")" + entity + "\"}");
    const std::string container = make("/v1/containers", R"({"name":"x","collection":")" + collection + "\"}");
    return make("/v1/images", R"({"hash":"sha256.)" + hash + R"(","container":")" + container + "\"}");
}

}  // namespace

BOOST_AUTO_TEST_CASE(equal_contexts_of_two_builds_are_one_file_until_both_have_ended) {
    RunningHub h;
    const auto user = h.service.accounts.user_id("alice");
    const std::string bytes = "the files of a definition", digest = "sha256." + sha256_hex(bytes);
    const auto size = static_cast<int64_t>(bytes.size());
    const auto send = [&](const std::string& url) { return ask(port_of(h), "PUT", path_of(url), {}, bytes).status; };

    const std::string first = h.contexts.begin(user, digest, size, "http://hub"),
                      second = h.contexts.begin(user, digest, size, "http://hub");
    BOOST_TEST(send(first) == 200);
    BOOST_TEST(send(second) == 200, "what the other has sent meanwhile is taken once more");
    BOOST_TEST(h.contexts.begin(user, digest, size, "http://hub").empty());
    const std::string id = h.contexts.find(user, digest);
    BOOST_TEST(h.contexts.remove(user, digest));
    BOOST_TEST(h.contexts.remove(user, digest));
    BOOST_TEST(h.contexts.find(user, digest) == id, "the third still needs it");
    BOOST_TEST(std::filesystem::file_size(h.contexts.file(id)) == bytes.size());
    BOOST_TEST(h.contexts.remove(user, digest));
    BOOST_TEST(!h.contexts.remove(user, digest));
    BOOST_CHECK_THROW(h.contexts.find(user, digest), HttpError);
    BOOST_TEST(!std::filesystem::exists(h.contexts.file(id)));
    BOOST_TEST(send(first) == 404);
}

BOOST_AUTO_TEST_CASE(a_context_that_was_cut_off_or_has_other_bytes_is_sent_again) {
    RunningHub h;
    const auto user = h.service.accounts.user_id("alice");
    const std::string bytes = "the files of a definition", digest = "sha256." + sha256_hex(bytes);
    const std::string url = path_of(h.contexts.begin(user, digest, static_cast<int64_t>(bytes.size()), "http://hub"));
    BOOST_TEST(ask(port_of(h), "PUT", url, {}, std::string(bytes.size(), 'x')).status == 400);
    BOOST_TEST(ask(port_of(h), "PUT", url, {}, bytes.substr(1)).status == 400);
    BOOST_CHECK_THROW(h.contexts.find(user, digest), HttpError);
    BOOST_TEST(ask(port_of(h), "PUT", url, {}, bytes).status == 200);
    BOOST_TEST(!h.contexts.find(user, digest).empty());
}

BOOST_AUTO_TEST_CASE(a_rate_limit_counts_for_each_and_stays_bounded) {
    RateLimit limit(2, 3600);
    BOOST_TEST(limit.take("a"));
    BOOST_TEST(limit.take("a"));
    BOOST_TEST(!limit.take("a"));
    BOOST_TEST(limit.full("a"));
    BOOST_TEST(!limit.full("b"));
    for (int i = 0; i < 20000; ++i) limit.take(std::to_string(i));
    BOOST_TEST(limit.full("a"), "a flood of others lets nobody off");
    BOOST_TEST(!limit.take("one more of the flood"));
}

BOOST_AUTO_TEST_CASE(sending_keys_and_searching_for_them_have_limits) {
    RunningHub h;
    int taken = 0, refused = 0;
    for (int i = 0; i < 101; ++i) {
        const int status = ask(port_of(h), "POST", "/pks/add", h.alice, "keytext=none").status;
        taken += status == 400, refused += status == 429;
    }
    BOOST_TEST(taken == 100);
    BOOST_TEST(refused == 1);
    BOOST_TEST(ask(port_of(h), "POST", "/pks/add", h.bob, "keytext=none").status == 400);
    for (int i = 0; i < 120; ++i) ask(port_of(h), "GET", "/pks/lookup?op=index&search=nobody");
    const Answer late = ask(port_of(h), "GET", "/pks/lookup?op=index&search=nobody");
    BOOST_TEST(late.status == 429);
    BOOST_TEST(late.head.find("Retry-After: 60") != std::string::npos);
    BOOST_TEST(ask(port_of(h), "GET", "/pks/lookup?op=get&search=0x0123456789ABCDEF").status == 404);
}

BOOST_AUTO_TEST_CASE(one_hub_serves_a_directory_and_a_dead_one_holds_nothing) {
    const HubDirectory directory;
    const std::string data = directory.path + "/data";
    {
        const DirectoryLock first(data);
        BOOST_CHECK_EXCEPTION(DirectoryLock second(data), singularity::Error, [](const auto& e) {
            return e.code() == singularity::Code::exists &&
                   e.message().find("process " + std::to_string(::getpid())) != std::string::npos;
        });
    }
    std::ofstream(data + "/lock") << "1\n";  // as one that was killed leaves it: a name, and no lock
    const DirectoryLock again(data);
}

BOOST_AUTO_TEST_CASE(a_request_is_answered_while_thousands_of_connections_say_nothing) {
    rlimit files{};
    BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    const auto count = std::min<size_t>(5000, files.rlim_cur > 4096 ? (files.rlim_cur - 2048) / 2 : 400);
    ServerOptions patient;
    patient.idle_seconds = 3600;
    RunningHub h(patient);
    std::vector<Wire> idle;
    for (size_t i = 0; i < count; ++i) {
        idle.emplace_back(port_of(h));
        if (i % 2 == 0) idle.back().send("GET /healthz HTTP/1.1\r\nHost:");
    }
    BOOST_TEST(ask(port_of(h), "GET", "/healthz").status == 200);
    idle[0].send(" hub\r\nConnection: close\r\n\r\n");
    BOOST_TEST(answer_of(idle[0].rest()).status == 200);
}

BOOST_AUTO_TEST_CASE(connections_that_say_nothing_are_closed_in_time) {
    ServerOptions impatient;
    impatient.idle_seconds = 1;
    RunningHub h(impatient);
    std::vector<Wire> idle;
    for (int i = 0; i < 20; ++i) idle.emplace_back(port_of(h));
    for (int i = 0; i < 10; ++i) idle[static_cast<size_t>(i)].send("GET / HT");
    for (const auto& wire : idle) BOOST_TEST(wire.rest().empty());
}

BOOST_AUTO_TEST_CASE(heads_that_never_end_are_refused) {
    RunningHub h;
    const std::string begin = "GET /healthz HTTP/1.1\r\nHost: hub\r\nX-Long: ";
    {
        const Wire wire(port_of(h));
        wire.send(begin + std::string(20 << 10, 'x'));
        BOOST_TEST(wire.rest().starts_with("HTTP/1.1 431 "));
    }
    {
        const Wire wire(port_of(h));
        wire.send(begin);
        const std::string piece(64 << 10, 'x');
        size_t sent = 0;
        while (sent < (10 << 20) && wire.send(piece)) sent += piece.size();
        BOOST_TEST(sent < (10U << 20), "the hub has taken ten megabytes");
    }
    BOOST_TEST(ask(port_of(h), "GET", "/healthz").status == 200);
}

BOOST_AUTO_TEST_CASE(an_upload_that_is_cut_off_at_any_byte_leaves_nothing) {
    RunningHub h;
    const std::string bytes = "what an image would have " + std::string(40, 'x'), hash = sha256_hex(bytes);
    const std::string image = awaited_image(h, hash);
    const std::string whole = head_of("POST", "/v1/imagefile/" + image, h.alice, bytes.size()) + bytes;
    for (size_t cut = 0; cut < whole.size(); ++cut) {
        const Wire wire(port_of(h));
        wire.send(whole.substr(0, cut));
        wire.end();
        const int status = answer_of(wire.rest()).status;
        BOOST_TEST((status == 400 || status == 0), "cut at " << cut << ": " << status);
    }
    BOOST_TEST(h.service.database.query("SELECT 1 FROM images WHERE uploaded = 1").empty());
    BOOST_TEST(h.service.database.query("SELECT 1 FROM uploads").empty());
    BOOST_TEST(h.service.blobs->list_uploads().empty());
    BOOST_TEST(h.service.blobs->list().empty());
    BOOST_TEST(ask(port_of(h), "GET", "/v1/images/alice/default/x:sha256." + hash).status == 404);
}

BOOST_AUTO_TEST_CASE(an_upload_in_parts_needs_each_of_them_and_in_the_same_bytes) {
    RunningHub h;
    const std::string bytes = "small", hash = sha256_hex(bytes), image = awaited_image(h, hash),
                      base = "/v2/imagefile/" + image;
    const std::string id =
        ask(port_of(h), "POST", base + "/_multipart", h.alice, R"({"filesize":100000000})").member("uploadID");
    const auto part = [&](int number) {
        return ask(port_of(h), "PUT", base + "/_multipart", h.alice,
                   R"({"uploadID":")" + id + R"(","partSize":1,"partNumber":)" + std::to_string(number) + "}");
    };
    const auto complete = [&](const std::string& parts) {
        return ask(port_of(h), "PUT", base + "/_multipart_complete", h.alice,
                   R"({"uploadID":")" + id + R"(","completedParts":[)" + parts + "]}");
    };
    BOOST_TEST(part(0).status == 400);
    BOOST_TEST(part(3).status == 400);
    BOOST_TEST(part(-1).status == 400);
    BOOST_TEST(ask(port_of(h), "PUT", path_of(part(2).member("presignedURL")), {}, "too short").status == 400);
    BOOST_TEST(complete("").status == 400);
    // The last one first.
    const std::string last(100000000 - (64 << 20), 'x');
    BOOST_TEST(ask(port_of(h), "PUT", path_of(part(2).member("presignedURL")), {}, last).status == 200);
    const Answer missing = complete("");
    BOOST_TEST(missing.status == 400);
    BOOST_TEST(missing.body.find("has 1 of 2 parts") != std::string::npos, missing.body);
    BOOST_TEST(ask(port_of(h), "PUT", path_of(part(1).member("presignedURL")), {}, std::string(64 << 20, 'y')).status ==
               200);
    BOOST_TEST(complete(R"({"partNumber":1,"token":"another"})").status == 400);
    const Answer wrong = complete("");
    BOOST_TEST(wrong.status == 400);
    BOOST_TEST(wrong.body.find("have the hash") != std::string::npos, wrong.body);
    BOOST_TEST(complete("").status == 404, "it is over");
    BOOST_TEST(h.service.blobs->list_uploads().empty());
}

// An image of zeros in the hub, and the path of its file.
std::string large_image(RunningHub& h, uint64_t size) {
    const std::string hash(64, 'a'), image = awaited_image(h, hash);
    {
        const File file = h.service.blobs->open_upload("u");
        BOOST_REQUIRE(::ftruncate(file.fd(), static_cast<off_t>(size)) == 0);
    }
    h.service.blobs->commit("u", hash);
    h.service.database.change("UPDATE images SET uploaded = 1, size = ? WHERE id = ?",
                              {static_cast<int64_t>(size), image});
    return "/v1/imagefile/alice/default/x:sha256." + hash;
}

std::vector<Wire> stalled_downloads(RunningHub& h, const std::string& path) {
    std::vector<Wire> out;
    for (int i = 0; i < 20; ++i) {
        out.emplace_back(port_of(h));
        out.back().send(head_of("GET", path, {}, 0));
    }
    return out;
}

BOOST_AUTO_TEST_CASE(downloads_that_nobody_takes_cost_no_thread) {
    ServerOptions options;
    options.threads = 2;
    options.stall_seconds = 3600;
    RunningHub h(options);
    const std::string path = large_image(h, 64 << 20);
    const auto stalled = stalled_downloads(h, path);
    const Answer whole = ask(port_of(h), "GET", path);
    BOOST_TEST(whole.status == 200);
    BOOST_TEST(whole.body.size() == (64U << 20));
}

BOOST_AUTO_TEST_CASE(downloads_that_nobody_takes_are_given_up) {
    ServerOptions options;
    options.stall_seconds = 1;
    const HubDirectory logs;
    options.access_log = logs.path + "/access.json";
    RunningHub h(options);
    const auto stalled = stalled_downloads(h, large_image(h, 64 << 20));
    // Reading would have them go on.
    const auto given_up = [&] {
        std::ifstream log(options.access_log);
        std::string line;
        size_t count = 0;
        while (std::getline(log, line)) count += line.find("\"status\":499") != std::string::npos;
        return count;
    };
    while (given_up() < stalled.size()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    for (const auto& wire : stalled) BOOST_TEST(wire.rest().size() < (64U << 20));
}

BOOST_AUTO_TEST_CASE(strangers_whose_bodies_do_not_come_do_not_keep_others_out) {
    ServerOptions options;
    options.stall_seconds = 3600;
    RunningHub h(options);
    std::vector<Wire> slow;
    for (int i = 0; i < 40; ++i) {
        slow.emplace_back(port_of(h));
        slow.back().send(
            "POST /api/session HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\nContent-Length: "
            "8000\r\n\r\n{");
    }
    BOOST_TEST(ask(port_of(h), "GET", "/healthz").status == 200);
    // Of 40 strangers at a time 32 are heard.
    std::vector<pollfd> answers;
    for (const auto& wire : slow) answers.push_back({wire.fd(), POLLIN, 0});
    const auto answered = [&] {
        ::poll(answers.data(), answers.size(), 100);
        return std::count_if(answers.begin(), answers.end(), [](const pollfd& p) { return p.revents != 0; });
    };
    while (answered() < 8) {
    }
    for (size_t i = 0; i < slow.size(); ++i)
        if (answers[i].revents != 0) BOOST_TEST(answer_of(slow[i].rest()).status == 503);
}

BOOST_AUTO_TEST_CASE(a_body_that_trickles_in_ends_in_time) {
    ServerOptions options;
    options.stall_seconds = 1;
    RunningHub h(options);
    const Wire trickle(port_of(h));
    trickle.send("POST /api/projects HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer " + h.alice +
                 "\r\nContent-Length: 100000\r\n\r\n");
    pollfd answer{trickle.fd(), POLLIN, 0};
    while (::poll(&answer, 1, 100) == 0 && trickle.send(" ")) {
    }
    BOOST_TEST(answer_of(trickle.rest()).status == 408);
}
