// URLs: what is sent is what was written, what is shown holds no secret.
#include "family/url.hpp"

#include <boost/test/unit_test.hpp>
#include <singularity/error.hpp>

using http::Url;
using singularity::Code;
using singularity::Error;

BOOST_AUTO_TEST_SUITE(urls)

BOOST_AUTO_TEST_CASE(a_url_is_taken_apart) {
    const Url u = Url::parse("HTTPS://User:p%40ss@Example.ORG:8443/a/b%2Fc?x=1&y=%20#part");
    BOOST_TEST(u.scheme == "https");
    BOOST_TEST(u.userinfo == "User:p%40ss");
    BOOST_TEST(u.host == "example.org");
    BOOST_TEST(u.port == 8443);
    BOOST_TEST(u.target == "/a/b%2Fc?x=1&y=%20");
    BOOST_TEST(u.text() == "https://example.org:8443/a/b%2Fc?x=1&y=%20");
    BOOST_TEST(Url::parse("http://h").target == "/");
    BOOST_TEST(Url::parse("http://h?q").target == "/?q");
    BOOST_TEST(Url::parse("http://h:/x").port_or_default() == 80);
    BOOST_TEST(Url::parse("https://h/x").port_or_default() == 443);
    BOOST_TEST(Url::parse("https://h:443/x").authority() == "h");
    BOOST_TEST(Url::parse("http://h:443/x").authority() == "h:443");
    const Url six = Url::parse("http://[FE80::1]:81/x");
    BOOST_TEST(six.host == "fe80::1");
    BOOST_TEST(six.authority() == "[fe80::1]:81");
}

BOOST_AUTO_TEST_CASE(blanks_and_foreign_letters_are_encoded_and_the_rest_is_left) {
    BOOST_TEST(Url::parse("http://h/a b/\xc3\xbc/%zz/+").target == "/a%20b/%C3%BC/%zz/+");
}

BOOST_AUTO_TEST_CASE(what_is_no_url_is_refused) {
    for (const char* text : {"", "x", "http:", "http:/x", "http://", "http:///x", "://h/", "http://h:0/", "http://h:65536/", "http://h:8x/", "http://[::1/",
                             "http://[::1]x/", "http://a b/", "http://h/\r\nX: y", "http://h/\x01", "1http://h/", "http://h\\x/", "http://a:b:c/"})
        BOOST_CHECK_EXCEPTION(Url::parse(text), Error, [&](const Error& e) { return e.code() == Code::invalid; });
}

BOOST_AUTO_TEST_CASE(a_location_is_seen_from_where_it_was_said) {
    const Url base = Url::parse("http://user:pw@h:81/a/b/c?q=1");
    const auto to = [&](const char* location) { return base.resolve(location).text(); };
    BOOST_TEST(to("https://other/x") == "https://other/x");
    BOOST_TEST(to("//other/x") == "http://other/x");
    BOOST_TEST(to("/x/y?z=%2F") == "http://h:81/x/y?z=%2F");
    BOOST_TEST(to("d") == "http://h:81/a/b/d");
    BOOST_TEST(to("../d?e") == "http://h:81/a/d?e");
    BOOST_TEST(to("../../../../d") == "http://h:81/d");
    BOOST_TEST(to("./") == "http://h:81/a/b/");
    BOOST_TEST(to("..") == "http://h:81/a/");
    BOOST_TEST(to("?n=2") == "http://h:81/a/b/c?n=2");
    BOOST_TEST(to(" /x ") == "http://h:81/x");
    BOOST_TEST(to("/x#y") == "http://h:81/x");
    BOOST_TEST(base.resolve("file:///etc/passwd").scheme == "file");
    BOOST_TEST(base.resolve("file:/etc/passwd").scheme == "file");
    BOOST_TEST(base.resolve("data:text/plain,x").scheme == "data");
}

BOOST_AUTO_TEST_CASE(passwords_and_tokens_are_not_shown) {
    BOOST_TEST(Url::parse("https://u:geheim@h/p?service=s&token=geheim&scope=repository:a:pull&sig=geheim&flag").shown() ==
               "https://h/p?service=s&token=...&scope=repository:a:pull&sig=...&flag");
    BOOST_TEST(http::shown_url("http://u:geheim@h:x/\n").find("geheim") == std::string::npos);
    BOOST_TEST(http::shown_url("http://u:ge@heim@h/x@y") == "http://h/x@y");
    try {
        Url::parse("https://u:geheim@h:port/?password=geheim");
    } catch (const Error& e) {
        BOOST_TEST(e.message().find("geheim") == std::string::npos);
    }
}

BOOST_AUTO_TEST_SUITE_END()
