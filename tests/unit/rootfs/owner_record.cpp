// What is recorded of files that the kernel does not let be it.
#include "rootfs/owner_record.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"

BOOST_AUTO_TEST_SUITE(owner_record)

BOOST_AUTO_TEST_CASE(a_record_is_read_back_as_it_was_written) {
    sg::OwnerRecord record;
    record.add({1, 2, 3}) = {4, 5, S_IFCHR, 6, 7, {{"trusted.a", std::string("\0b", 2)}, {"security.c", ""}}};
    record.add({1, 2, 4}) = {UINT32_MAX - 1, 0, 0, 0, 0, {}};
    const sg::OwnerRecord back = sg::OwnerRecord::parse(record.text());
    BOOST_TEST(back.size() == 2u);
    BOOST_TEST((*back.find({1, 2, 3}) == *record.find({1, 2, 3})));
    BOOST_TEST((*back.find({1, 2, 4}) == *record.find({1, 2, 4})));
    BOOST_TEST(sg::OwnerRecord::parse(sg::OwnerRecord().text()).size() == 0u);
}

BOOST_AUTO_TEST_CASE(an_inode_that_was_born_again_is_another_file) {
    sg::OwnerRecord record;
    record.add({1, 2, 3}).uid = 4;
    BOOST_TEST(record.find({1, 2, 4}) == nullptr);
    BOOST_TEST(record.find({2, 2, 3}) == nullptr);
    BOOST_TEST(record.find({1, 2, 3})->uid == 4u);
}

BOOST_AUTO_TEST_CASE(a_record_that_is_cut_short_anywhere_is_refused) {
    sg::OwnerRecord record;
    record.add({1, 2, 3}) = {4, 5, 0, 0, 0, {{"trusted.a", "value"}}};
    const std::string whole = record.text();
    const size_t header = sg::OwnerRecord().text().size();
    for (size_t n = 0; n < whole.size(); ++n) {
        if (n == header) continue;  // an empty record
        BOOST_CHECK_THROW(sg::OwnerRecord::parse(whole.substr(0, n)), sg::Error);
    }
    std::string endless = whole;
    endless.replace(whole.size() - 5 - 9 - 8, 8, 8, '\xff');  // the lengths of name and value
    BOOST_CHECK_THROW(sg::OwnerRecord::parse(endless), sg::Error);
}

BOOST_AUTO_TEST_SUITE_END()
