#include "family/identity.hpp"

#include <boost/test/unit_test.hpp>

using namespace launcher;

BOOST_AUTO_TEST_SUITE(identity)

static const PasswdEntry ann{"ann", "Ann A", "/home/ann", "/bin/zsh", 1000, 1000, true};

BOOST_AUTO_TEST_CASE(a_user_that_the_image_lacks_is_appended) {
    BOOST_TEST(passwd_text("root:x:0:0:root:/root:/bin/sh\n", ann) ==
               "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:Ann A:/home/ann:/bin/zsh\n");
    BOOST_TEST(passwd_text("root:x:0:0:root:/root:/bin/sh", ann) ==
               "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:Ann A:/home/ann:/bin/zsh\n");
    BOOST_TEST(passwd_text("", ann) == "ann:x:1000:1000:Ann A:/home/ann:/bin/zsh\n");
}

BOOST_AUTO_TEST_CASE(an_entry_of_the_image_keeps_its_group_and_shell) {
    BOOST_TEST(passwd_text("app:*:1000:50:App:/app:/bin/ash\n", ann) == "ann:*:1000:50:Ann A:/home/ann:/bin/ash\n");
}

BOOST_AUTO_TEST_CASE(root_keeps_its_name_and_gets_its_home) {
    const PasswdEntry root{"admin", "Host", "/root", "/bin/bash", 0, 0, true};
    BOOST_TEST(passwd_text("root:x:0:0:Image:/:/bin/sh\n", root) == "root:x:0:0:Image:/root:/bin/sh\n");
}

BOOST_AUTO_TEST_CASE(damaged_lines_are_kept) {
    BOOST_TEST(passwd_text("garbage\n:::\nx:y:99999999999:1:::\n", ann) ==
               "garbage\n:::\nx:y:99999999999:1:::\nann:x:1000:1000:Ann A:/home/ann:/bin/zsh\n");
}

BOOST_AUTO_TEST_CASE(groups_that_the_image_lacks_are_appended) {
    BOOST_TEST(group_text("root:x:0:\nstaff:x:50:", "ann", {{"ann", 1000}, {"staff", 50}}) == "root:x:0:\nstaff:x:50:\nann:x:1000:ann\n");
}

BOOST_AUTO_TEST_SUITE_END()
