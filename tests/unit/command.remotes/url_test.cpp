#include "remotes/url.hpp"

#include <boost/test/unit_test.hpp>
#include <singularity/error.hpp>

#include "remotes/service.hpp"

using namespace remotes;

BOOST_AUTO_TEST_CASE(addresses_of_services_get_a_scheme_and_lose_their_last_slash) {
    BOOST_TEST(service_url("Host.Example") == "https://host.example");
    BOOST_TEST(service_url("http://host:80/a/B/") == "http://host:80/a/B");
    BOOST_TEST(service_url("hkp://host") == "http://host:11371");
    BOOST_TEST(service_url("hkp://[::1]") == "http://[::1]:11371");
    BOOST_TEST(service_url("hkps://host/x") == "https://host/x");
    BOOST_TEST(without_scheme("https://host/x/") == "host/x");
}

BOOST_AUTO_TEST_CASE(what_is_no_address_is_a_wrong_command_line) {
    const std::string longer = "https://" + std::string(1001, 'h'), deeper = "https://h/" + std::string(1001, 'p');
    for (const char* bad : {longer.c_str(), deeper.c_str(), "", "ftp://host", "https://", "https:///x", "user@host",
                            "host name", "host?x", "host/../x", "host//x", "ho\nst", ":80", "https://host/\xc3"})
        try {
            service_url(bad);
            BOOST_ERROR(bad);
        } catch (const singularity::Error& e) {
            BOOST_TEST((e.code() == singularity::Code::usage));
        }
}

BOOST_AUTO_TEST_CASE(an_origin_is_scheme_host_and_port) {
    BOOST_TEST(same_origin("https://h/a", "https://H:443/b"));
    BOOST_TEST(same_origin("hkp://h", "http://h:11371"));
    BOOST_TEST(!same_origin("https://h", "http://h"));
    BOOST_TEST(!same_origin("https://h", "https://h.evil"));
    BOOST_TEST(!same_origin("https://h@evil", "https://h"));
    BOOST_TEST(!same_origin("", ""));
}

BOOST_AUTO_TEST_CASE(only_this_machine_is_this_machine) {
    for (const char* yes : {"http://localhost", "http://127.0.0.1:80/x", "http://[::1]:80", "http://a.localhost"})
        BOOST_TEST(is_loopback(yes), yes);
    for (const char* no :
         {"http://127.0.0.1.evil.org", "http://localhost.evil.org", "http://example.org", "http://[::2]"})
        BOOST_TEST(!is_loopback(no), no);
}

BOOST_AUTO_TEST_CASE(the_reason_of_a_refusal_is_found_in_whatever_a_server_sends) {
    BOOST_TEST(error_text(R"({"error":{"code":403,"message":"not yours"}})") == "not yours");
    BOOST_TEST(error_text(R"({"error":"plain"})") == "plain");
    BOOST_TEST(error_text("quota exceeded\nmore") == "quota exceeded");
    BOOST_TEST(error_text("<html>x</html>") == "");
    BOOST_TEST(error_text("{broken") == "");
    BOOST_TEST(error_text("") == "");
    BOOST_TEST(error_text("a\x1b[31mb") == "a?[31mb");
}
