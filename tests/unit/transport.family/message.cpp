// Heads of messages: what we send cannot be read in two ways, what we get is not believed blindly.
#include "family/message.hpp"

#include <boost/test/unit_test.hpp>
#include <singularity/error.hpp>

using namespace http;
using singularity::Code;
using singularity::Error;

namespace {

Code code_of(const std::string& head, const char* method = "GET") {
    try {
        ResponseHead::parse(head).framing(method);
    } catch (const Error& e) {
        BOOST_TEST_MESSAGE(e.message());
        return e.code();
    }
    return Code{0};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(messages)

BOOST_AUTO_TEST_CASE(a_request_is_written_as_given) {
    BOOST_TEST(request_head("GET", "/a?b=%2F", {{"Host", "h"}, {"Accept", "a"}, {"Accept", "b"}}) ==
               "GET /a?b=%2F HTTP/1.1\r\nHost: h\r\nAccept: a\r\nAccept: b\r\n\r\n");
}

BOOST_AUTO_TEST_CASE(a_line_end_cannot_be_smuggled_in) {
    for (const Fields& f : {Fields{{"X", "a\r\nY: b"}}, Fields{{"X", "a\n"}}, Fields{{"X\r\nY", "b"}},
                            Fields{{"", "b"}}, Fields{{"X Y", "b"}}, Fields{{"X", "a\x7f"}}}) {
        try {
            request_head("GET", "/", f);
            BOOST_FAIL("no error");
        } catch (const Error& e) {
            BOOST_TEST((e.code() == Code::invalid));
            BOOST_TEST(e.message().find("Y: b") == std::string::npos);
        }
    }
    BOOST_CHECK_THROW(request_head("GE T", "/", {}), Error);
    BOOST_CHECK_THROW(request_head("GET", "/ HTTP/1.1\r\nX: y", {}), Error);
}

BOOST_AUTO_TEST_CASE(an_answer_is_read) {
    const ResponseHead h =
        ResponseHead::parse("HTTP/1.1 200 Very well\r\nContent-Length: 5\r\nX: 1\r\nx:2\r\nEmpty:\r\n\r\n");
    BOOST_TEST(h.status == 200u);
    BOOST_TEST(h.reason == "Very well");
    BOOST_TEST(*find_field(h.fields, "X") == "1");
    BOOST_TEST(*find_field(h.fields, "X", 1) == "2");
    BOOST_TEST(!find_field(h.fields, "X", 2));
    BOOST_TEST(*find_field(h.fields, "EMPTY") == "");
    BOOST_TEST(h.keep_alive);
    BOOST_TEST((h.framing("GET").kind == Framing::Kind::length));
    BOOST_TEST(h.framing("GET").length == 5u);
    BOOST_TEST((h.framing("HEAD").kind == Framing::Kind::none));
    BOOST_TEST(ResponseHead::parse("HTTP/1.1 204\r\n\r\n").status == 204u);
    BOOST_TEST(ResponseHead::parse("HTTP/1.1 900 Odd\r\n\r\n").status == 900u);  // a number that no enumeration knows
    BOOST_TEST(*find_field(ResponseHead::parse("HTTP/1.1 200 OK\nX :\t1 \n 2\n\t 3\r\n\n").fields, "X") == "1 2 3");
    BOOST_TEST(!ResponseHead::parse("HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n").keep_alive);
    BOOST_TEST(!ResponseHead::parse("HTTP/1.0 200 OK\r\n\r\n").keep_alive);
    BOOST_TEST(ResponseHead::parse("HTTP/1.0 200 OK\r\nConnection: x, keep-alive\r\n\r\n").keep_alive);
}

BOOST_AUTO_TEST_CASE(the_end_of_a_body_is_known_or_refused) {
    using K = Framing::Kind;
    const auto kind = [](const std::string& fields, unsigned status = 200) {
        return ResponseHead::parse("HTTP/1.1 " + std::to_string(status) + " X\r\n" + fields + "\r\n")
            .framing("GET")
            .kind;
    };
    BOOST_TEST((kind("") == K::until_close));
    BOOST_TEST((kind("Transfer-Encoding: Chunked\r\n") == K::chunked));
    BOOST_TEST((kind("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") == K::chunked));
    BOOST_TEST((kind("Content-Length: 5\r\nContent-Length: 5\r\n") == K::length));
    BOOST_TEST((kind("Content-Length: 5\r\n", 304) == K::none));
    BOOST_TEST((kind("", 101) == K::none));
    for (const char* fields :
         {"Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: -1\r\n", "Content-Length: 5, 6\r\n",
          "Content-Length: 0x5\r\n", "Content-Length:\r\n", "Content-Length: 99999999999999999999\r\n"})
        BOOST_TEST((code_of("HTTP/1.1 200 OK\r\n" + std::string(fields) + "\r\n") == Code::network), fields);
    for (const char* fields : {"Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: gzip\r\n",
                               "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"})
        BOOST_TEST((code_of("HTTP/1.1 200 OK\r\n" + std::string(fields) + "\r\n") == Code::unsupported), fields);
}

BOOST_AUTO_TEST_CASE(what_is_no_http_is_told) {
    for (const std::string& head :
         {std::string("SSH-2.0-OpenSSH\r\n\r\n"), std::string("HTTP/2 200\r\n\r\n"),
          std::string("HTTP/1.1 2000 OK\r\n\r\n"), std::string("HTTP/1.1 abc OK\r\n\r\n"),
          std::string("HTTP/1.1\r\n\r\n"), std::string("HTTP/1.1 200 OK"), std::string("HTTP/1.1 200 OK\r\nX: 1\r\n"),
          std::string("HTTP/1.1 200 OK\r\n folded: 1\r\n\r\n"), std::string("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"),
          std::string("HTTP/1.1 200 OK\r\n: 1\r\n\r\n"), std::string("HTTP/1.1 200 OK\r\nX: 1\rY: 2\r\n\r\n"),
          std::string("HTTP/1.1 20 OK\r\n\r\n"), std::string("HTTP/1.1 1000\r\n\r\n"),
          std::string("HTTP/1.1 099 OK\r\n\r\n"), "HTTP/1.1 200 " + std::string(5000, 'x') + "\r\n\r\n",
          std::string("HTTP/1.1 200 OK\r\nX: a") + std::string(1, 0) + "b\r\n\r\n"})
        BOOST_TEST((code_of(head) == Code::network), head.substr(0, 40));
}

BOOST_AUTO_TEST_CASE(many_and_long_fields_are_read_within_the_limit_of_the_head) {
    std::string head = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 500; ++i) head += "X-" + std::to_string(i) + ": y\r\n";
    head += "Long: " + std::string(8000, 'x') + "\r\n\r\n";
    const ResponseHead h = ResponseHead::parse(head);
    BOOST_TEST(h.fields.size() == 501u);
    BOOST_TEST(find_field(h.fields, "Long")->size() == 8000u);
}

BOOST_AUTO_TEST_SUITE_END()
