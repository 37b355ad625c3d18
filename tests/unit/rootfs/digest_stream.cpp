#include "rootfs/digest_stream.hpp"

#include <boost/test/unit_test.hpp>

#include "base/error.hpp"
#include "support.hpp"

using namespace rootfs_test;

BOOST_AUTO_TEST_SUITE(digests)

BOOST_AUTO_TEST_CASE(known_digests_come_out) {
    BOOST_TEST(sha256("abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sg::Hasher h("sha512:anything");
    h.update("abc", 3);
    BOOST_TEST(h.finish() ==
               "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
               "454d4423643ce80e2a9ac94fa54ca49f");
    BOOST_CHECK_EXCEPTION(sg::Hasher("md5"), sg::Error, [](const sg::Error& e) { return e.code() == sg::Code::unsupported; });
}

BOOST_AUTO_TEST_CASE(a_hole_counts_as_zeros) {
    sg::Hasher h("sha256");
    h.update(singularity::Slice::hole(200000));
    BOOST_TEST(h.finish() == sha256(std::string(200000, '\0')));
}

BOOST_AUTO_TEST_CASE(what_is_right_passes) {
    const std::string data(3 << 20, 'x');
    for (const bool own_thread : {false, true})
        for (const bool owned : {false, true}) {
            auto s = sg::verify(stream_of(data, 70000, owned), {sha256(data), data.size(), "blob"}, own_thread);
            BOOST_TEST((all_of(*s) == data));
            BOOST_TEST(s->next().size() == 0u);  // the end stays the end
        }
}

BOOST_AUTO_TEST_CASE(a_wrong_digest_names_both) {
    for (const bool own_thread : {false, true})
        BOOST_CHECK_EXCEPTION(all_of(sg::verify(stream_of("data"), {sha256("other"), SG_SIZE_UNKNOWN, "layer L"}, own_thread)),
                              sg::Error, [](const sg::Error& e) {
                                  return e.code() == sg::Code::corrupt && e.message().find("layer L") == 0 &&
                                         e.message().find(sha256("data")) != std::string::npos &&
                                         e.message().find(sha256("other")) != std::string::npos;
                              });
}

BOOST_AUTO_TEST_CASE(a_wrong_size_is_an_error_and_reading_stops_past_it) {
    BOOST_CHECK_THROW(all_of(sg::verify(stream_of("data"), {"", 5, "blob"})), sg::Error);
    // Endless: only a stop at the stated size ends this.
    struct Endless final : singularity::Stream {
        singularity::Slice next() override { return singularity::Slice::borrowed("xxxxxxxxxx", 10); }
    };
    BOOST_CHECK_THROW(all_of(sg::verify(std::make_unique<Endless>(), {"", 1000, "blob"})), sg::Error);
    BOOST_CHECK_THROW(all_of(sg::verify(std::make_unique<Endless>(), {sha256(""), 1000, "blob"}, true)), sg::Error);
}

BOOST_AUTO_TEST_CASE(an_abandoned_stream_ends_its_thread) {
    auto s = sg::verify(stream_of(std::string(50 << 20, 'x'), 1 << 20), {sha256(""), SG_SIZE_UNKNOWN, "blob"}, true);
    s->next();
    s.reset();
}

BOOST_AUTO_TEST_SUITE_END()
