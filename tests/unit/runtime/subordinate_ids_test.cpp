#include "runtime/subordinate_ids.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"

using namespace sg;
using namespace sg::runtime;

BOOST_AUTO_TEST_SUITE(subordinate_ids_of_users)

BOOST_AUTO_TEST_CASE(exactly_65536_ids_win_over_more_and_fewer_do_not_count) {
    const char* text = "bob:1:65536\nann:100:1000\nann:200000:200000\nann:600000:65536\nann:900000:65536\n";
    const auto r = find_range(text, "ann", 1000);
    BOOST_REQUIRE(r);
    BOOST_TEST(r->start == 600000u);
    const auto larger = find_range("ann:100000:70000\nann:300000:90000\n", "ann", 1000);
    BOOST_REQUIRE(larger);
    BOOST_TEST(larger->start == 300000u);
    BOOST_TEST(!find_range("ann:100:1000\n", "ann", 1000));
    BOOST_TEST(!find_range("", "ann", 1000));
}

BOOST_AUTO_TEST_CASE(a_user_is_named_or_numbered_and_may_be_switched_off) {
    BOOST_TEST(find_range("1000:100000:65536", "ann", 1000).has_value());
    BOOST_TEST(!find_range("!ann:100000:65536\n", "ann", 1000));
    BOOST_TEST(!find_range("ann2:100000:65536\n", "ann", 1000));
}

BOOST_AUTO_TEST_CASE(broken_lines_are_no_ranges) {
    for (const char* text : {"ann:100000\n", "ann:x:65536\n", "ann:-1:65536\n", "ann:4294902000:65536\n", "ann:18446744073709551615:65536\n", "ann::\n", ":::\n"})
        BOOST_TEST(!find_range(text, "ann", 1000), text);
}

BOOST_AUTO_TEST_CASE(a_new_range_overlaps_none_of_either_file) {
    BOOST_TEST(edit_ranges("", RangeEdit::add, "ann", 1000) == "ann:100000:65536\n");
    BOOST_TEST(edit_ranges("bob:100000:65536\n", RangeEdit::add, "ann", 1000) == "bob:100000:65536\nann:165536:65536\n");
    BOOST_TEST(edit_ranges("bob:100000:65536", RangeEdit::add, "ann", 1000, "eve:165536:65536\n") == "bob:100000:65536\nann:231072:65536\n");
    const std::string there = "ann:5000000:65536\n";
    BOOST_TEST(edit_ranges(there, RangeEdit::add, "ann", 1000) == there);
}

BOOST_AUTO_TEST_CASE(ranges_are_switched_off_and_on_and_taken_away_and_other_lines_stay) {
    const std::string text = "# a note\nbob:100000:65536\nann:165536:65536\n";
    const std::string off = edit_ranges(text, RangeEdit::disable, "ann", 1000);
    BOOST_TEST(off == "# a note\nbob:100000:65536\n!ann:165536:65536\n");
    BOOST_TEST(edit_ranges(off, RangeEdit::disable, "ann", 1000) == off);
    BOOST_TEST(edit_ranges(off, RangeEdit::enable, "ann", 1000) == text);
    BOOST_TEST(edit_ranges(text, RangeEdit::remove, "ann", 1000) == "# a note\nbob:100000:65536\n");
    for (const RangeEdit edit : {RangeEdit::remove, RangeEdit::enable, RangeEdit::disable})
        BOOST_CHECK_EXCEPTION(edit_ranges(text, edit, "eve", 1002), Error, [](const Error& e) { return e.code() == Code::not_found; });
}

BOOST_AUTO_TEST_SUITE_END()
