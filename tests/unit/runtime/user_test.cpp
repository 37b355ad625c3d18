#include "runtime/user.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>

using namespace sg::runtime;

BOOST_AUTO_TEST_SUITE(user)

BOOST_AUTO_TEST_CASE(entries_are_found_by_id) {
    const std::string text = "root:x:0:0:root:/root:/bin/bash\n# comment\nbroken:x:12\nann:x:1000:100:Ann,,,:/home/ann:/bin/zsh\n";
    User u;
    BOOST_TEST(find_passwd(text, 1000, u));
    BOOST_TEST(u.name == "ann");
    BOOST_TEST(u.gecos == "Ann,,,");
    BOOST_TEST(u.home == "/home/ann");
    BOOST_TEST(u.shell == "/bin/zsh");
    BOOST_TEST(!find_passwd(text, 12, u));
    BOOST_TEST(!find_passwd("", 0, u));
}

BOOST_AUTO_TEST_CASE(the_present_user_has_a_name_and_a_home) {
    const User u = current_user();
    BOOST_TEST(u.uid == geteuid());
    BOOST_TEST(!u.name.empty());
    BOOST_TEST(!u.home.empty());
}

BOOST_AUTO_TEST_SUITE_END()
