// Small things a registry client reads: URLs, error bodies, tokens, times to wait.
#include <time.h>

#include <boost/test/unit_test.hpp>

#include "fake_clock.hpp"
#include "registry/server_error.hpp"
#include "registry/token.hpp"
#include "registry/url.hpp"

using namespace registry;

BOOST_AUTO_TEST_SUITE(texts)

BOOST_AUTO_TEST_CASE(urls_are_taken_apart_or_refused) {
    const auto shown = [](const char* text) {
        const auto u = parse_url(text);
        return u ? u->scheme + " " + u->host + " " + u->port + " " + u->rest : std::string("-");
    };
    BOOST_TEST(shown("https://Auth.Docker.io/token") == "https auth.docker.io 443 /token");
    BOOST_TEST(shown("HTTP://h:5001?a=b") == "http h 5001 /?a=b");
    BOOST_TEST(shown("https://[::1]:5000/v2/#x") == "https ::1 5000 /v2/");
    BOOST_TEST(parse_url("https://[::1]:5000/v2/")->text() == "https://[::1]:5000/v2/");
    BOOST_TEST(parse_url("https://h:443/")->origin() == "https://h");
    for (const char* bad : {"", "h", "//h/", "file:///etc/passwd", "ftp://h/", "https://", "https:///x", "https://u:p@h/",
                            "https://h:port/", "https://h:123456/", "https://h /", "https://h/\r\nX: y", "https://[::1",
                            "https://::1/", "javascript:alert(1)"})
        BOOST_TEST(shown(bad) == "-", bad);
}

BOOST_AUTO_TEST_CASE(locations_are_resolved_against_the_request) {
    const Url base = *parse_url("https://h:5000/v2/a/blobs/uploads/?n=1");
    const auto to = [&](const char* location) {
        const auto u = resolve_location(base, location);
        return u ? u->text() : std::string("-");
    };
    BOOST_TEST(to("https://other/x?y=z") == "https://other/x?y=z");
    BOOST_TEST(to("/v2/a/blobs/uploads/7?state=q") == "https://h:5000/v2/a/blobs/uploads/7?state=q");
    BOOST_TEST(to("7?state=q") == "https://h:5000/v2/a/blobs/uploads/7?state=q");
    BOOST_TEST(to("?m=2") == "https://h:5000/v2/a/blobs/uploads/?m=2");
    BOOST_TEST(to("//cdn/x") == "https://cdn/x");
    BOOST_TEST(to("file:/etc/shadow") == "-");
    BOOST_TEST(to("") == "-");
}

BOOST_AUTO_TEST_CASE(loopback_and_link_local_hosts_are_known) {
    for (const char* h : {"localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1"})
        BOOST_TEST(is_loopback(h), h);
    for (const char* h : {"localhost.example.com", "10.0.0.1", "128.0.0.1", "::2", "example.com", ""}) BOOST_TEST(!is_loopback(h), h);
    for (const char* h : {"169.254.169.254", "fe80::1", "[fe80::1%eth0]", "::ffff:169.254.0.1"}) BOOST_TEST(is_link_local(h), h);
    for (const char* h : {"169.253.1.1", "10.0.0.1", "ff80::1", "example.com"}) BOOST_TEST(!is_link_local(h), h);
    BOOST_TEST(host_of("[::1]:5000") == "::1");
    BOOST_TEST(host_of("h:5000") == "h");
    BOOST_TEST(host_of("h") == "h");
}

BOOST_AUTO_TEST_CASE(errors_read_as_go_clients_print_them) {
    BOOST_TEST(error_text(401, R"({"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]})") ==
               "unauthorized: authentication required");
    BOOST_TEST(error_text(401, R"({"errors":[{"code":"DENIED","message":"requested access to the resource is denied"},
                               {"code":"UNAUTHORIZED","message":"authentication required"}]})") ==
               "errors:\u2028denied: requested access to the resource is denied\u2028unauthorized: authentication required");
    BOOST_TEST(error_text(404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})") ==
               "manifest unknown: manifest unknown");
    BOOST_TEST(error_text(401, R"({"details":"incorrect username or password"})") == "incorrect username or password");
    BOOST_TEST(error_text(429, R"({"message":"slow down"})") == "slow down");
    BOOST_TEST(error_text(503, "upstream is gone\nand more") ==
               "the server answers with HTTP status 503 (Service Unavailable): upstream is gone");
    for (const char* body : {"", "<html><body>no</body></html>", "{", "{}", R"({"errors":[]})", R"({"errors":[1,{}]})", "\x01\x02"})
        BOOST_TEST(error_text(500, body) == "the server answers with HTTP status 500 (Internal Server Error)", body);
    // Nothing that a terminal would obey, and not a book.
    const std::string text = error_text(400, R"({"errors":[{"code":"X","message":"\u001b[31mred\n)" + std::string(5000, 'a') + "\"}]}");
    BOOST_TEST(text.find('\x1b') == std::string::npos);
    BOOST_TEST(text.find('\n') == std::string::npos);
    BOOST_TEST(text.size() < 600u);
}

BOOST_AUTO_TEST_CASE(what_a_challenge_says_comes_before_the_body) {
    BOOST_TEST(challenge_error(R"(Bearer realm="x",error="insufficient_scope")") == "denied: requested access to the resource is denied");
    BOOST_TEST(challenge_error(R"(Basic realm="x", Bearer realm="x",error="invalid_token",error_description="it is old")") == "unauthorized: it is old");
    BOOST_TEST(challenge_error(R"(Bearer realm="x")") == "");
    // As Docker Hub answers: what Singularity says of it.
    BOOST_TEST(error_text(401, R"({"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]})", "denied: requested access to the resource is denied") ==
               "errors:\u2028denied: requested access to the resource is denied\u2028unauthorized: authentication required");
    BOOST_TEST(error_text(401, "", "denied: no") == "denied: no");
    // A server cannot make lines of its own.
    BOOST_TEST(error_text(401, "{\"errors\":[{\"code\":\"A\",\"message\":\"b\u2028INFO: c\"}]}", "d") == "errors:\u2028d\u2028a: b?INFO: c");
}

BOOST_AUTO_TEST_CASE(tokens_live_at_least_a_minute) {
    BOOST_TEST(parse_token(R"({"token":"abc"})", "s").seconds == 60);
    BOOST_TEST(parse_token(R"({"access_token":"abc","expires_in":300})", "s").seconds == 300);
    BOOST_TEST(parse_token(R"({"access_token":"abc","expires_in":300})", "s").text == "abc");
    BOOST_TEST(parse_token(R"({"token":"","access_token":"b","expires_in":5})", "s").text == "b");
    BOOST_TEST(parse_token(R"({"token":"a","expires_in":5})", "s").seconds == 60);
    BOOST_TEST(parse_token(R"({"token":"a","expires_in":"long"})", "s").seconds == 60);
    BOOST_TEST(parse_token(R"({"token":"a","expires_in":-1})", "s").seconds == 60);
    for (const char* bad : {"", "{}", "[]", "<html>", R"({"token":5})", R"({"token":"a b"})", R"({"token":"a\r\nX: y"})", R"({"token":)"})
        BOOST_CHECK_THROW(parse_token(bad, "s"), singularity::Error);
}

BOOST_AUTO_TEST_CASE(basic_credentials_are_encoded_as_they_are) {
    BOOST_TEST(basic_authorization("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    BOOST_TEST(basic_authorization("$oauthtoken", "p:w") == "Basic JG9hdXRodG9rZW46cDp3");
}

BOOST_AUTO_TEST_CASE(waiting_grows_and_has_an_end) {
    fake::FakeClock clock;
    BOOST_TEST(wait_after_failure(1, clock) == 1);
    BOOST_TEST(wait_after_failure(2, clock) == 3);
    BOOST_TEST(*wait_after_limit(1, "") == 2);
    BOOST_TEST(*wait_after_limit(4, "") == 16);
    BOOST_TEST(*wait_after_limit(50, "") == 60);
    BOOST_TEST(*wait_after_limit(1, "7") == 7);
    BOOST_TEST(*wait_after_limit(1, "0") == 0);
    BOOST_TEST(!wait_after_limit(1, "3600"));
    BOOST_TEST(!wait_after_limit(1, "99999999999999999999"));
    BOOST_TEST(*wait_after_limit(1, "soon") == 2);
    char date[64];
    const time_t in_20 = ::time(nullptr) + 20;
    ::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", ::gmtime(&in_20));
    BOOST_TEST(*wait_after_limit(1, date) <= 20);
    BOOST_TEST(*wait_after_limit(1, date) >= 10);
    BOOST_TEST(*wait_after_limit(1, "Sun, 06 Nov 1994 08:49:37 GMT") == 0);
}

BOOST_AUTO_TEST_SUITE_END()
