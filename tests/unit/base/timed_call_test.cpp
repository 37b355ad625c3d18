#include "base/timed_call.hpp"

#include <poll.h>

#include <boost/test/unit_test.hpp>

using namespace sg;
using namespace std::chrono_literals;

namespace {

struct Outer {
    CancelToken cancel;
    sg_call call{cancel, nullptr};
};

bool ends(const TimedCall& timed, int most) {
    pollfd fd{timed.call()->cancel.fd(), POLLIN, 0};
    return ::poll(&fd, 1, most) == 1 && timed.call()->cancel.cancelled();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_timed_call_ends_when_its_time_is_over) {
    Outer outer;
    const TimedCall timed(outer.call, 1ms);
    BOOST_TEST(ends(timed, 60'000));
    BOOST_TEST(timed.over());
    BOOST_TEST(!outer.cancel.cancelled());
}

BOOST_AUTO_TEST_CASE(a_timed_call_ends_with_the_one_around_it) {
    Outer outer;
    const TimedCall timed(outer.call, 1h);
    outer.cancel.cancel();
    BOOST_TEST(ends(timed, 60'000));
    BOOST_TEST(!timed.over());
}

BOOST_AUTO_TEST_CASE(a_timed_call_that_is_not_needed_is_given_up_at_once) {
    Outer outer;
    const TimedCall timed(outer.call, 1h);
    BOOST_TEST(!timed.call()->cancel.cancelled());
}

BOOST_AUTO_TEST_CASE(no_time_passes_while_somebody_thinks) {
    Outer outer;
    auto thinking = std::make_unique<Untimed>();
    const TimedCall timed(outer.call, 1ms);
    {
        const Untimed another;
        BOOST_TEST(!ends(timed, 30));
    }
    BOOST_TEST(!ends(timed, 30));
    thinking.reset();
    BOOST_TEST(ends(timed, 60'000));
    BOOST_TEST(timed.over());
}
