// The transport of http over the C boundary, against the tests' own server: what goes out and what comes back.
#include <netdb.h>
#include <sys/socket.h>

#include "transport.https/https_fixture.hpp"

using namespace fixture;

namespace {
[[maybe_unused]] const OwnEnvironment own_environment;
}

// In the place of libc's, for the names of the tests.
extern "C" __attribute__((visibility("default"))) int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** out) {
    using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
    static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    const std::string name = node ? node : "";
    if (!name.ends_with(".test") || (hints && (hints->ai_flags & AI_NUMERICHOST))) return real(node, service, hints, out);
    ++look_ups;
    std::vector<std::string> addresses;
    {
        const std::lock_guard lock(names_mutex);
        if (!names.count(name)) return EAI_NONAME;
        addresses = names[name];
    }
    if (addresses.empty())
        for (;;) ::pause();
    addrinfo* first = nullptr;
    addrinfo** last = &first;
    for (const auto& a : addresses) {
        if (real(a.c_str(), service, hints, last) != 0) return EAI_FAIL;
        while (*last) last = &(*last)->ai_next;
    }
    *out = first;
    return 0;
}

BOOST_AUTO_TEST_SUITE(requests)

BOOST_AUTO_TEST_CASE(a_body_comes_whole_in_any_framing) {
    for (const char* how : {"ok?size=%", "chunked?n=1000&size=%", "chunked?n=1&size=%", "open?size=%", "trickle?n=1000&delay=0&size=%"})
        for (const size_t size : {0u, 1u, 1000u, 3000u}) {
            std::string target = std::string("/do/") + how;
            target.replace(target.find('%'), 1, std::to_string(size));
            const Got g = ask(server().url(target));
            BOOST_TEST(g.status == 200u, target);
            BOOST_TEST((g.body == good(size)), target);
            if (target.find("/ok") != std::string::npos) BOOST_TEST(g.size == size);
        }
}

BOOST_AUTO_TEST_CASE(a_large_body_comes_in_large_slices) {
    const Got g = ask(server().url("/do/ok?size=20000000"));
    BOOST_TEST((g.body == good(20000000)));
    BOOST_TEST(g.slices.size() < 20000000u / (64 << 10));
    for (const size_t n : g.slices) BOOST_TEST(n <= 1u << 20);
}

BOOST_AUTO_TEST_CASE(head_tells_the_size_and_has_no_body) {
    const Got g = ask({.url = server().url("/do/ok?size=5000&etag=%22x%22"), .method = "HEAD"});
    BOOST_TEST(g.size == 5000u);
    BOOST_TEST(g.body.empty());
    BOOST_TEST(g.headers.at("ETag") == "\"x\"");
}

BOOST_AUTO_TEST_CASE(a_range_is_asked_for_and_checked) {
    const auto part = [](const std::string& action, uint64_t begin, uint64_t end = SG_SIZE_UNKNOWN) {
        return Ask{.url = server().url("/do/" + action + "?size=1000"), .begin = begin, .end = end};
    };
    Got g = ask(part("ok", 100));
    BOOST_TEST(g.status == 206u);
    BOOST_TEST(g.size == 900u);
    BOOST_TEST((g.body == good(1000).substr(100)));
    g = ask(part("ok", 0, 10));
    BOOST_TEST((g.body == good(10)));
    g = ask(part("ignore-range", 100));
    BOOST_TEST(g.status == 200u);
    BOOST_TEST((g.body == good(1000)));
    BOOST_TEST(ask(part("ok", 1000)).status == 416u);
    BOOST_TEST((failure(part("wrong-range", 100)).code() == Code::corrupt));
    BOOST_TEST((failure(part("wrong-range", 0)).code() == Code::corrupt));
    BOOST_TEST((failure(part("ok", 5, 5)).code() == Code::invalid));
}

BOOST_AUTO_TEST_CASE(a_status_of_4xx_or_5xx_is_an_answer) {
    for (const unsigned code : {400u, 401u, 403u, 404u, 429u, 500u, 503u}) {
        const Got g = ask(server().url("/do/status?retry_after=7&code=" + std::to_string(code)));
        BOOST_TEST(g.status == code);
        BOOST_TEST(g.body == "trouble");
        BOOST_TEST(g.headers.at("Retry-After") == "7");
    }
}

BOOST_AUTO_TEST_CASE(headers_and_bodies_are_sent) {
    const std::string url = server().url("/do/echo?x=1");
    Got g = ask({.url = url, .headers = {{"X-One", "1", 0}, {"Accept", "a/b", 0}, {"Accept", "c/d", 0}}});
    BOOST_TEST(contains(g.body, R"(["X-One", "1"])"));
    BOOST_TEST(contains(g.body, R"(["Accept", "a/b"], ["Accept", "c/d"])"));
    BOOST_TEST(contains(g.body, R"(["User-Agent", "singularity/4.0.0"])"));
    BOOST_TEST(contains(g.body, "127.0.0.1:" + server().port()));
    // SHA-256 of "hello".
    const std::string sha = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    g = ask({.url = url, .method = "PUT", .body = {"hel", "lo"}, .body_size = 5});
    BOOST_TEST(contains(g.body, sha));
    BOOST_TEST(contains(g.body, R"(["Content-Length", "5"])"));
    g = ask({.url = url, .method = "PATCH", .body = {"hel", "lo"}});
    BOOST_TEST(contains(g.body, sha));
    BOOST_TEST(contains(g.body, R"(["Transfer-Encoding", "chunked"])"));
    g = ask({.url = url, .method = "POST"});
    BOOST_TEST(contains(g.body, R"(["Content-Length", "0"])"));
    const std::string large(40000000, 'x');
    g = ask({.url = url, .method = "PUT", .body = {large}, .body_size = large.size()});
    BOOST_TEST(contains(g.body, "\"body\": 40000000"));
}

BOOST_AUTO_TEST_CASE(a_body_of_another_size_than_announced_is_refused) {
    const std::string url = server().url("/do/echo");
    BOOST_TEST((failure({.url = url, .method = "PUT", .body = {"12345"}, .body_size = 4}).code() == Code::corrupt));
    BOOST_TEST((failure({.url = url, .method = "PUT", .body = {"12345"}, .body_size = 6}).code() == Code::corrupt));
}

BOOST_AUTO_TEST_CASE(what_a_caller_must_not_set_is_refused) {
    for (const char* name : {"Host", "content-length", "Transfer-Encoding", "Connection", "Range"})
        BOOST_TEST((failure({.url = server().url("/do/ok"), .headers = {{name, "x", 0}}}).code() == Code::invalid), name);
    BOOST_TEST((failure({.url = server().url("/do/ok"), .headers = {{"X", "a\r\nY: b", 0}}}).code() == Code::invalid));
    for (const char* url : {"", "ftp://h/", "file:///etc/passwd", "http:x"}) BOOST_TEST((failure(url).code() == Code::invalid), url);
}

BOOST_AUTO_TEST_CASE(connections_are_kept_and_shared) {
    const Server own;
    const auto connection = [&](const char* target) {
        const std::string text = ask(own.url(target)).body;
        return text.substr(text.find("\"connection\""), text.find("\"served\"") - text.find("\"connection\""));
    };
    const std::string first = connection("/do/echo");
    BOOST_TEST(connection("/do/echo") == first);
    // After a body that nobody read, too.
    ask({.url = own.url("/do/status?code=401"), .read = false});
    BOOST_TEST(connection("/do/echo") == first);
    // And from another thread.
    std::string other;
    std::thread([&] { other = connection("/do/echo"); }).join();
    BOOST_TEST(other == first);
    // Not after one that was given up half-way.
    ask({.url = own.url("/do/ok?size=30000000"), .read = false});
    BOOST_TEST(connection("/do/echo") != first);
}

BOOST_AUTO_TEST_CASE(a_kept_connection_that_the_server_has_closed_is_replaced) {
    const Server own;
    for (int i = 0; i < 5; ++i) BOOST_TEST((ask(own.url("/do/drop?size=100")).body == good(100)));
    // A request with a body is not lost either.
    ask(own.url("/do/drop"));
    BOOST_TEST(ask({.url = own.url("/do/echo"), .method = "PUT", .body = {"hello"}, .body_size = 5}).status == 200u);
    ask(own.url("/do/drop"));
    BOOST_TEST(ask({.url = own.url("/do/echo"), .method = "POST"}).status == 200u);
}

BOOST_AUTO_TEST_CASE(many_threads_ask_at_once) {
    std::vector<std::thread> threads;
    std::atomic<int> right{0};
    for (int t = 0; t < 16; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 10; ++i)
                try {
                    const size_t size = static_cast<size_t>(1000 * t + i);
                    if (ask(server().url((i % 2 ? "/do/ok?size=" : "/do/chunked?size=") + std::to_string(size))).body == good(size)) ++right;
                } catch (const Error& e) {
                    BOOST_TEST_MESSAGE(e.message());
                }
        });
    for (auto& t : threads) t.join();
    BOOST_TEST(right == 160);
}

BOOST_AUTO_TEST_CASE(redirects_are_followed_and_end) {
    for (const char* code : {"301", "302", "303", "307", "308"}) {
        const Got g = ask(server().url(std::string("/do/redirect?to=/do/ok?size=77&code=") + code));
        BOOST_TEST(g.status == 200u);
        BOOST_TEST((g.body == good(77)));
        BOOST_TEST(g.url == server().url("/do/ok?size=77"));
    }
    const Got g = ask({.url = server().url("/do/redirect"), .redirects = 0});
    BOOST_TEST(g.status == 302u);
    BOOST_TEST(g.headers.at("Location") == "/do/ok");
    BOOST_TEST(ask({.url = server().url("/do/redirect"), .redirects = 1}).status == 200u);
    const Server own;
    BOOST_TEST((failure({.url = own.url("/do/loop"), .redirects = 5}).code() == Code::limit));
    BOOST_TEST(own.count("loop") == 6u);
}

BOOST_AUTO_TEST_CASE(a_redirect_changes_the_method_as_go_and_browsers_do) {
    const auto method = [](const char* method, const char* code) {
        const std::string text = ask({.url = server().url(std::string("/do/redirect?to=/do/echo&code=") + code), .method = method}).body;
        return text.substr(0, text.find(','));
    };
    for (const char* code : {"301", "302", "303"}) BOOST_TEST(method("POST", code) == R"({"method": "GET")");
    for (const char* code : {"307", "308"}) BOOST_TEST(method("POST", code) == R"({"method": "POST")");
    BOOST_TEST(method("PUT", "307") == R"({"method": "PUT")");
    const Server own;
    ask({.url = own.url("/do/redirect?to=/do/ok&code=303"), .method = "HEAD"});
    BOOST_TEST(contains(own.log(), R"({"method": "HEAD", "target": "/do/ok")"));
    BOOST_TEST((failure({.url = server().url("/do/redirect?code=307"), .method = "PUT", .body = {"x"}, .body_size = 1}).code() == Code::unsupported));
}

BOOST_AUTO_TEST_CASE(secrets_stay_with_the_first_host) {
    const Server other;
    const std::vector<sg_header> headers{{"Authorization", "Bearer geheim1", 1}, {"X-Key", "geheim2", 1}, {"Cookie", "geheim3", 0}, {"X-Open", "open", 0}};
    // The same host by another name, another port, and back again.
    for (const std::string& to : {server().url("/do/echo", "localhost"), other.url("/do/echo"),
                                  other.url("/do/redirect?to=" + server().url("/do/echo"))}) {
        std::string escaped;
        for (const char c : to) escaped += c == '&' || c == '?' ? (c == '?' ? std::string("%3F") : std::string("%26")) : std::string(1, c);
        const Got g = ask({.url = server().url("/do/redirect?to=" + escaped), .headers = headers});
        BOOST_TEST(!contains(g.body, "geheim"));
        BOOST_TEST(contains(g.body, "open"));
    }
    const Got here = ask({.url = server().url("/do/redirect?to=/do/echo"), .headers = headers});
    for (const char* secret : {"geheim1", "geheim2", "geheim3"}) BOOST_TEST(contains(here.body, secret));
    // A password in the URL is a secret as well.
    const std::string url = "http://me:geheim@127.0.0.1:" + server().port();
    BOOST_TEST(contains(ask(url + "/do/echo").body, "Basic bWU6Z2VoZWlt"));
    BOOST_TEST(!contains(ask(url + "/do/redirect?to=" + other.url("/do/echo")).body, "Basic"));
    BOOST_TEST(ask(url + "/do/echo").url == server().url("/do/echo"));
}

BOOST_AUTO_TEST_CASE(no_secret_reaches_log_or_message) {
    {
        const std::lock_guard lock(log_mutex);
        log_lines.clear();
    }
    const std::string url = "http://me:geheim@127.0.0.1:" + server().port();
    ask({.url = url + "/do/ok?sig=geheim&digest=sha256:1", .headers = {{"Authorization", "geheim", 1}}});
    ask(url + "/do/redirect?to=/do/ok%3Ftoken=geheim");
    const Error e = failure(url + "/do/close?at=-1&token=geheim");
    BOOST_TEST(!contains(e.message() + e.hint() + e.detail(), "geheim"));
    const Error bad = failure("http://me:geheim@h:x/");
    BOOST_TEST(!contains(bad.message(), "geheim"));
    BOOST_TEST(contains(log_text(), "GET " + server().url("/do/ok?sig=...&digest=sha256:1")));
    BOOST_TEST(!contains(log_text(), "geheim"));
}

BOOST_AUTO_TEST_CASE(redirects_to_files_and_link_local_addresses_are_refused) {
    {
        const std::lock_guard lock(names_mutex);
        names["metadata.test"] = {"169.254.169.254"};
        names["mixed.test"] = {"::ffff:169.254.169.254"};
    }
    for (const char* to : {"file:///etc/passwd", "file:/etc/passwd", "ftp://h/", "http://169.254.169.254/", "http://[fe80::1]/", "http://[fe80::1%25lo]/",
                           "http://2852039166/", "http://0xa9fea9fe/", "http://metadata.test/", "http://mixed.test/", "http://[::ffff:169.254.1.1]/"}) {
        std::string escaped(to);
        if (const size_t at = escaped.find("%25"); at != std::string::npos) escaped.replace(at, 3, "%2525");
        const Error e = failure({.url = server().url("/do/redirect?to=" + escaped), .connect_ms = 2000});
        BOOST_TEST((e.code() == Code::permission || e.code() == Code::network), to);
        if (escaped.find("lo]") == std::string::npos) BOOST_TEST((e.code() == Code::permission), to);
    }
}

BOOST_AUTO_TEST_CASE(an_unknown_host_and_a_closed_port_are_told) {
    const Error unknown = failure("http://nowhere.test/x");
    BOOST_TEST((unknown.code() == Code::network));
    BOOST_TEST(contains(unknown.message(), "the host nowhere.test is unknown"));
    Server gone;
    const std::string url = gone.url("/x");
    gone.stop();
    const Error closed = failure(url);
    BOOST_TEST((closed.code() == Code::network));
    BOOST_TEST(closed.sys_errno() == ECONNREFUSED);
    BOOST_TEST(contains(closed.message(), "Connection refused"));
}

BOOST_AUTO_TEST_CASE(the_next_address_is_tried_when_one_is_dead) {
    {
        const std::lock_guard lock(names_mutex);
        names["two.test"] = {"::1", "127.0.0.1"};  // the server listens on the second one alone
    }
    BOOST_TEST((ask(server().url("/do/ok?size=10", "two.test")).body == good(10)));
}

BOOST_AUTO_TEST_CASE(another_protocol_is_spoken_after_an_upgrade) {
    const auto* table = static_cast<const sg_upgrade_v1*>(load_plugin(PLUGIN_OBJECT)->table("http", "upgrade", 1));
    BOOST_REQUIRE(table);
    Ask a{.url = server().url("/do/upgrade"), .headers = {{"Sec-WebSocket-Key", "abc", 0}}};
    const sg_request r = request_of(a);
    sg_call call;
    sg_duplex* d = nullptr;
    singularity::check([&](sg_error* e) { return table->open(&r, "websocket", &call, &d, e); });
    const std::string large(5000000, 'y');
    singularity::check([&](sg_error* e) { return table->write(d, large.data(), large.size(), e); });
    std::string back;
    std::vector<char> buffer(1 << 16);
    while (back.size() < large.size()) {
        uint64_t got = 0;
        singularity::check([&](sg_error* e) { return table->read(d, buffer.data(), buffer.size(), &got, e); });
        BOOST_REQUIRE(got > 0u);
        back.append(buffer.data(), got);
    }
    BOOST_TEST((back == large));
    // A read that waits ends with the call.
    std::thread later([&] { call.cancel(); });
    uint64_t got = 0;
    BOOST_TEST(table->read(d, buffer.data(), buffer.size(), &got, nullptr) == SG_ECANCELLED);
    later.join();
    table->close(d);
    Ask refused{.url = server().url("/do/upgrade?refuse=1")};
    const sg_request r2 = request_of(refused);
    BOOST_TEST((error_of([&] { singularity::check([&](sg_error* e) { return table->open(&r2, "websocket", nullptr, &d, e); }); }).code() == Code::network));
}

BOOST_AUTO_TEST_SUITE_END()
