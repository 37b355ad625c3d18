// Proxies by the environment, as Go's programs and curl read it. Names that end in ".test" lead to this machine, for us and
// for the proxy of the tests.
#include "transport.https/https_fixture.hpp"

using namespace fixture;

namespace {

void make_names() {
    const std::lock_guard lock(names_mutex);
    names["origin.test"] = {"127.0.0.1"};
    names["sub.origin.test"] = {"127.0.0.1"};
    names["morigin.test"] = {"127.0.0.1"};
}

std::string origin(const char* target = "/do/echo", const char* host = "origin.test") { return server().url(target, host); }

// Was the proxy asked when NO_PROXY says this?
bool proxied(const std::string& no_proxy, const std::string& url, const char* variable = "NO_PROXY") {
    make_names();
    static const Server proxy({"--proxy"});
    const Variable p("HTTP_PROXY", "127.0.0.1:" + proxy.port()), n(variable, no_proxy);
    const size_t before = proxy.count("forwarded");
    BOOST_TEST(ask(url).status == 200u);
    return proxy.count("forwarded") != before;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(proxies)

BOOST_AUTO_TEST_CASE(a_plain_request_names_the_whole_url_to_the_proxy) {
    make_names();
    const Server proxy({"--proxy"});
    size_t asked = 0;
    for (const char* name : {"HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"}) {
        const Variable v(name, proxy.url("/"));
        BOOST_TEST(ask(origin()).status == 200u);
        BOOST_TEST(proxy.count("forwarded") == ++asked, name);
    }
    BOOST_TEST(contains(proxy.log(), "\"target\": \"" + origin() + "\""));
    // A proxy for https is none for http, and CGI programs must not be led by their clients' headers.
    {
        const Variable v("HTTPS_PROXY", proxy.url("/"));
        ask(origin());
    }
    {
        const Variable v("HTTP_PROXY", proxy.url("/")), cgi("REQUEST_METHOD", "GET");
        ask(origin());
    }
    BOOST_TEST(proxy.count("forwarded") == asked);
}

BOOST_AUTO_TEST_CASE(tls_goes_through_a_tunnel) {
    make_names();
    const Server proxy({"--proxy"});
    const Server target({"--tls", certificates() + "/server.crt", certificates() + "/server.key"});
    size_t asked = 0;
    for (const char* name : {"HTTPS_PROXY", "https_proxy", "ALL_PROXY"}) {
        const Variable v(name, proxy.url(""));
        // Another directory each time, or a connection of the last round would do.
        BOOST_TEST((ask({.url = target.tls("/do/ok?size=100000", "origin.test"), .ca = certificates() + (asked == 0 ? "/ca.crt" : asked == 1 ? "/./ca.crt" : "/.//ca.crt")}).body == good(100000)));
        BOOST_TEST(proxy.count("tunnel") == ++asked);
    }
    BOOST_TEST(contains(proxy.log(), "\"origin.test:" + target.port() + "\""));
}

BOOST_AUTO_TEST_CASE(the_proxy_learns_who_asks_and_the_server_does_not) {
    make_names();
    const Server proxy({"--proxy", "--password", "us er:ge:heim"});
    const Server target({"--tls", certificates() + "/server.crt", certificates() + "/server.key"});
    const std::string with = "http://us%20er:ge%3Aheim@127.0.0.1:" + proxy.port(), without = proxy.url("");
    {
        const Variable v("ALL_PROXY", without);
        BOOST_TEST(ask(origin()).status == 407u);
        const Error e = failure({.url = target.tls("/do/ok", "origin.test"), .ca = certificates() + "/ca.crt"});
        BOOST_TEST((e.code() == Code::unauthorized));
        BOOST_TEST(contains(e.hint(), "http://USER:PASSWORD@HOST:PORT"));
    }
    const Variable v("ALL_PROXY", with);
    BOOST_TEST(!contains(ask(origin()).body, "Proxy-Authorization"));
    BOOST_TEST(!contains(ask({.url = target.tls("/do/echo", "origin.test"), .ca = certificates() + "/ca.crt"}).body, "Proxy-Authorization"));
    BOOST_TEST(proxy.count("tunnel") == 1u);
    BOOST_TEST(!contains(log_text(), "heim"));
}

BOOST_AUTO_TEST_CASE(loopback_never_uses_a_proxy) {
    BOOST_TEST(!proxied("", server().url("/do/ok", "127.0.0.1")));
    BOOST_TEST(!proxied("", server().url("/do/ok", "localhost")));
    BOOST_TEST(proxied("", origin()));
}

BOOST_AUTO_TEST_CASE(no_proxy_knows_all_forms) {
    for (const char* item : {"*", "origin.test", "ORIGIN.test", "other, origin.test", "test", ".test", "*.test"}) BOOST_TEST(!proxied(item, origin()), item);
    for (const char* item : {"other", "igin.test", ".origin.test", "*.origin.test", "origin.test:1", "10.0.0.0/8", ",", "origin.tes"})
        BOOST_TEST(proxied(item, origin()), item);
    BOOST_TEST(!proxied("origin.test:" + server().port(), origin()));
    BOOST_TEST(!proxied(".origin.test", origin("/do/ok", "sub.origin.test")));
    BOOST_TEST(!proxied("origin.test", origin("/do/ok", "sub.origin.test")));
    BOOST_TEST(proxied("origin.test", origin("/do/ok", "morigin.test")));
    BOOST_TEST(!proxied("origin.test", origin(), "no_proxy"));
}

BOOST_AUTO_TEST_CASE(networks_in_no_proxy_hold_for_addresses) {
    // Nothing is asked there: the proxy, which is not there either, or the connect time-out says which way was taken.
    const auto goes_to_proxy = [](const char* no_proxy, const char* url) {
        const Variable p("HTTP_PROXY", "http://127.0.0.1:1"), n("NO_PROXY", no_proxy);
        return failure({.url = url, .connect_ms = 50}).message().find("the proxy 127.0.0.1:1") != std::string::npos;
    };
    for (const char* item : {"192.0.2.0/24", "192.0.2.7", "192.0.2.7/32", "192.0.0.0/16,x", "0.0.0.0/0"}) BOOST_TEST(!goes_to_proxy(item, "http://192.0.2.7/"), item);
    for (const char* item : {"192.0.2.0/30", "192.0.3.0/24", "192.0.2.0/", "192.0.2.0/99", "192.0.2.0/x", "2001:db8::/32", "192.0.2", "0.2.7"})
        BOOST_TEST(goes_to_proxy(item, "http://192.0.2.7/"), item);
    for (const char* item : {"2001:db8::/32", "2001:0db8:0::7", "[2001:db8::7]:80"}) BOOST_TEST(!goes_to_proxy(item, "http://[2001:db8::7]/"), item);
    for (const char* item : {"2001:db9::/32", "[2001:db8::7]:81", "0.0.0.0/0"}) BOOST_TEST(goes_to_proxy(item, "http://[2001:db8::7]/"), item);
}

BOOST_AUTO_TEST_CASE(what_is_no_proxy_is_told) {
    make_names();
    {
        const Variable v("HTTP_PROXY", "http://me:geheim@:x/");
        const Error e = failure(origin());
        BOOST_TEST((e.code() == Code::invalid));
        BOOST_TEST(contains(e.message(), "HTTP_PROXY"));
        BOOST_TEST(!contains(e.message(), "geheim"));
    }
    {
        const Variable v("all_proxy", "socks5://h:1080");
        BOOST_TEST((failure(origin()).code() == Code::unsupported));
    }
    const Variable v("HTTP_PROXY", "http://127.0.0.1:1");
    const Error e = failure(origin());
    BOOST_TEST(contains(e.message(), "cannot connect to the proxy 127.0.0.1:1"));
}

BOOST_AUTO_TEST_SUITE_END()
