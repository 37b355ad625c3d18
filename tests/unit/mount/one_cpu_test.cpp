// Two that take turns on one processor, and how they are let go.
#include "mount/one_cpu.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstring>

#include "client.hpp"

namespace {

cpu_set_t processors() {
    cpu_set_t set;
    BOOST_REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0);
    return set;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(one_cpu)

BOOST_AUTO_TEST_CASE(who_is_kept_to_one_processor_has_all_of_them_afterwards) {
    // Whatever this program was bound to: all that the machine gives.
    cpu_set_t before;
    std::memset(&before, 0xff, sizeof before);
    BOOST_REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
    before = processors();
    {
        sg::OneCpu one;
        cpu_set_t now = processors();
        BOOST_TEST(CPU_COUNT(&now) == 1);
        one.release();
        now = processors();
        BOOST_TEST(CPU_EQUAL(&now, &before));
    }
    {
        cpu_set_t bound;
        CPU_ZERO(&bound);
        CPU_SET(sched_getcpu(), &bound);
        BOOST_REQUIRE(sched_setaffinity(0, sizeof bound, &bound) == 0);
        sg::OneCpu one;
        one.release();
        const cpu_set_t now = processors();
        BOOST_TEST(CPU_EQUAL(&now, &before));
    }
    { const sg::OneCpu one; }
    const cpu_set_t after = processors();
    BOOST_TEST(CPU_EQUAL(&after, &before));
}

BOOST_AUTO_TEST_CASE(another_processor_is_taken_than_the_busy_one_where_there_is_one) {
    cpu_set_t all;
    std::memset(&all, 0xff, sizeof all);
    BOOST_REQUIRE(sched_setaffinity(0, sizeof all, &all) == 0);
    all = processors();
    for (int busy = 0; busy < CPU_SETSIZE; ++busy) {
        if (!CPU_ISSET(busy, &all)) continue;
        const sg::OneCpu one(busy);
        const cpu_set_t now = processors();
        BOOST_TEST(CPU_COUNT(&now) == 1);
        BOOST_TEST((CPU_ISSET(busy, &now) != 0) == (CPU_COUNT(&all) == 1));
    }
}

BOOST_AUTO_TEST_CASE(a_server_answers_alone_until_it_is_told_to_go_on) {
    fake::Root root;
    int stop[2];
    BOOST_REQUIRE(pipe(stop) == 0);
    fake::Client c(root, {}, stop[0]);
    BOOST_TEST(c.attr(1).ino == 1u);
    BOOST_TEST(c.attr(1).ino == 1u);
    BOOST_TEST(c.alone());
    BOOST_REQUIRE(write(stop[1], "g", 1) == 1);
    c.until_not_alone();
    BOOST_TEST(c.attr(1).ino == 1u);
    close(stop[0]);
    close(stop[1]);
}

BOOST_AUTO_TEST_CASE(a_server_goes_on_when_who_kept_it_alone_has_ended) {
    fake::Root root;
    int stop[2];
    BOOST_REQUIRE(pipe(stop) == 0);
    fake::Client c(root, {}, stop[0]);
    BOOST_TEST(c.attr(1).ino == 1u);
    close(stop[1]);
    c.until_not_alone();
    BOOST_TEST(c.attr(1).ino == 1u);
    close(stop[0]);
}

BOOST_AUTO_TEST_CASE(a_transport_that_ends_ends_a_server_that_answers_alone) {
    fake::Root root;
    int stop[2];
    BOOST_REQUIRE(pipe(stop) == 0);
    fake::Client c(root, {}, stop[0]);
    BOOST_TEST(c.attr(1).ino == 1u);
    c.end();  // joins the thread
    close(stop[0]);
    close(stop[1]);
}

BOOST_AUTO_TEST_SUITE_END()
