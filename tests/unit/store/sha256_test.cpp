#include "store/sha256.hpp"

#include <boost/test/unit_test.hpp>
#include <singularity/sha2.hpp>

#include "image/hasher.hpp"

BOOST_AUTO_TEST_CASE(sha256_is_the_known_one) {
    BOOST_CHECK_EQUAL(sg::sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

// Around the ends of blocks the length moves into one more.
BOOST_AUTO_TEST_CASE(digests_without_a_library_are_those_of_libcrypto_at_every_length) {
    using singularity::Digest;
    std::string text;
    for (size_t size = 0; size < 600; ++size) {
        for (const auto algorithm : {Digest::Algorithm::sha256, Digest::Algorithm::sha512}) {
            sg::Hasher hasher(Digest::name(algorithm));
            hasher.update(text.data(), text.size());
            BOOST_TEST_REQUIRE(singularity::digest_of(algorithm, text).text() == hasher.finish());
        }
        text += static_cast<char>(size * 37 + size / 256);
    }
}
