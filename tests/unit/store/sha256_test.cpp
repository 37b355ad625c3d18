#include "store/sha256.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_CASE(sha256_is_the_known_one) {
    BOOST_CHECK_EQUAL(sg::sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
