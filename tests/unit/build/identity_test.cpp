#include "build/identity.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdlib>

#include "base/error.hpp"

BOOST_AUTO_TEST_CASE(source_date_epoch_beats_the_config_and_must_be_a_number) {
    unsetenv("SOURCE_DATE_EPOCH");
    BOOST_CHECK(sg::result_time("2018-12-06T17:29:48Z") == 1544117388);
    BOOST_CHECK(!sg::result_time(""));
    setenv("SOURCE_DATE_EPOCH", "42", 1);
    BOOST_CHECK(sg::result_time("2018-12-06T17:29:48Z") == 42);
    setenv("SOURCE_DATE_EPOCH", "4x", 1);
    BOOST_CHECK_THROW(sg::result_time(""), sg::Error);
    unsetenv("SOURCE_DATE_EPOCH");
}

BOOST_AUTO_TEST_CASE(a_uuid_follows_from_the_name_alone) {
    const auto a = sg::uuid_of("x"), b = sg::uuid_of("x"), c = sg::uuid_of("y");
    BOOST_CHECK(a == b);
    BOOST_CHECK(a != c);
    BOOST_CHECK_EQUAL(a[6] >> 4, 5);
    BOOST_CHECK_EQUAL(a[8] >> 6, 2);
}
