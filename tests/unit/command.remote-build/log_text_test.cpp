#include "remote-build/log_text.hpp"

#include <boost/test/unit_test.hpp>

using namespace remote_build;

namespace {

// The same, whole and byte by byte.
std::string filtered(const std::string& text) {
    LogText whole, bytes;
    const std::string out = whole.filtered(text);
    std::string slow;
    for (const char c : text) slow += bytes.filtered(std::string(1, c));
    BOOST_TEST(slow == out);
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(text_colours_and_line_ends_pass) {
    for (const std::string text : {"plain\n", "tab\there\r\n", "\x1b[1;31mred\x1b[0m\n", "\x1b[mreset", "gr\xc3\xbc\xc3\x9f\xe4\xbd\xa0\xe5\xa5\xbd\n", "\xc2\xa0\xc2\xb5"}) BOOST_TEST(filtered(text) == text);
}

BOOST_AUTO_TEST_CASE(what_steers_a_terminal_is_left_out) {
    BOOST_TEST(filtered("a\x1b]0;title\x07z") == "az");
    BOOST_TEST(filtered("a\x1b]52;c;aGk=\x1b\\z") == "az");
    BOOST_TEST(filtered("a\x1b[2Jz\x1b[6nz\x1b[10;20Hz") == "azzz");
    BOOST_TEST(filtered("a\x1b[?25lz") == "az");
    BOOST_TEST(filtered("a\x1b[>1mz") == "az");
    BOOST_TEST(filtered("a\x1b" "cz") == "az");
    BOOST_TEST(filtered("a\x1bPq#0\x1b\\z") == "az");
    BOOST_TEST(filtered(std::string("a\0\x01\x07\x08\x7fz", 7)) == "az");
    BOOST_TEST(filtered("a\xc2\x9b" "31mz") == "a31mz");  // CSI of one character
    BOOST_TEST(filtered("\x1b[" + std::string(500, '1') + "mz") == "z");
}

BOOST_AUTO_TEST_CASE(a_sequence_without_end_hides_no_more_than_its_line) {
    BOOST_TEST(filtered("a\x1b]0;title\nnext\n") == "a\nnext\n");
    BOOST_TEST(filtered("a\x1b[31\nnext\n") == "a\nnext\n");
}
