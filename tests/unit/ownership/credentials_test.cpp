// Identities by the kernel's rules.
#include "ownership/credentials.hpp"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cerrno>

using namespace sg::ownership;

BOOST_AUTO_TEST_SUITE(credentials)

BOOST_AUTO_TEST_CASE(root_becomes_anybody_and_nobody_else_becomes_root_again) {
    Credentials c;
    BOOST_TEST(c.is_root());
    BOOST_TEST(set_groups(c, 42, 42, 42) == 0);
    BOOST_TEST(set_users(c, 33, 33, 33) == 0);
    BOOST_TEST((c.user == Ids{33, 33, 33, 33}));
    BOOST_TEST((c.group == Ids{42, 42, 42, 42}));
    BOOST_TEST(c.effective == 0u);
    BOOST_TEST(c.permitted == 0u);
    for (const auto change : {+[](Credentials& x) { return set_user(x, 0); },
                              +[](Credentials& x) { return set_users(x, unchanged, 0, unchanged); },
                              +[](Credentials& x) { return set_real_effective_user(x, unchanged, 0); },
                              +[](Credentials& x) { return set_group(x, 0); }})
        BOOST_TEST(change(c) == -EPERM);
    BOOST_TEST((c.user == Ids{33, 33, 33, 33}));
    BOOST_TEST(set_users(c, 33, unchanged, 33) == 0);
    BOOST_TEST(set_user(c, 33) == 0);
}

BOOST_AUTO_TEST_CASE(an_effective_user_goes_and_comes_back_by_the_saved_one) {
    Credentials c;
    BOOST_TEST(set_users(c, unchanged, 33, unchanged) == 0);
    BOOST_TEST((c.user == Ids{0, 33, 0, 33}));
    BOOST_TEST(!c.has(CAP_CHOWN));
    BOOST_TEST(set_group(c, 5) == -EPERM);
    BOOST_TEST(set_users(c, unchanged, 0, unchanged) == 0);
    BOOST_TEST(c.has(CAP_CHOWN));
    BOOST_TEST(c.is_root());
}

BOOST_AUTO_TEST_CASE(setreuid_saves_the_effective_user_where_the_kernel_does) {
    Credentials c;
    BOOST_TEST(set_real_effective_user(c, 1, 2) == 0);
    BOOST_TEST((c.user == Ids{1, 2, 2, 2}));
    BOOST_TEST(set_real_effective_user(c, 2, 1) == 0);  // they may be exchanged
    BOOST_TEST((c.user == Ids{2, 1, 1, 1}));
    BOOST_TEST(set_real_effective_user(c, 3, unchanged) == -EPERM);
}

BOOST_AUTO_TEST_CASE(setfsuid_tells_what_was_and_changes_nothing_that_is_not_allowed) {
    Credentials c;
    BOOST_TEST(set_fs_user(c, 7) == 0u);
    BOOST_TEST(set_fs_user(c, unchanged) == 7u);
    BOOST_TEST(set_users(c, 8, 8, 8) == 0);
    BOOST_TEST(set_fs_user(c, 9) == 8u);
    BOOST_TEST(set_fs_user(c, 8) == 8u);
}

BOOST_AUTO_TEST_CASE(kept_capabilities_are_raised_again_and_no_others) {
    Credentials c;
    c.securebits |= SECBIT_KEEP_CAPS;
    BOOST_TEST(set_users(c, 33, 33, 33) == 0);
    BOOST_TEST(c.permitted == all_capabilities);
    BOOST_TEST(!c.has(CAP_SETGID));
    BOOST_TEST(set_group(c, 5) == -EPERM);
    const uint64_t setgid = uint64_t{1} << CAP_SETGID;
    BOOST_TEST(set_capabilities(c, setgid, setgid, 0) == 0);
    BOOST_TEST(set_group(c, 5) == 0);
    BOOST_TEST(set_capabilities(c, setgid | 1, setgid | 1, 0) == -EPERM);
    const Credentials next = after_exec(c);
    BOOST_TEST(next.permitted == 0u);
    BOOST_TEST((next.group == Ids{5, 5, 5, 5}));
}

BOOST_AUTO_TEST_CASE(an_exec_gives_root_everything_and_saves_the_effective_ids) {
    Credentials c;
    BOOST_TEST(set_users(c, 33, 33, 0) == 0);
    c = after_exec(c);
    BOOST_TEST((c.user == Ids{33, 33, 33, 33}));
    Credentials root;
    BOOST_TEST(set_capabilities(root, 0, 0, 0) == 0);
    BOOST_TEST(after_exec(root).is_root());
}

BOOST_AUTO_TEST_CASE(a_child_has_what_its_parent_had_when_it_was_made) {
    CredentialTable table;
    int ready[2], go[2];
    BOOST_REQUIRE(pipe(ready) == 0 && pipe(go) == 0);
    Credentials first, second;
    BOOST_REQUIRE(set_users(first, 33, 33, 33) == 0);
    BOOST_REQUIRE(set_users(second, 34, 34, 34) == 0);
    const pid_t child = fork();
    if (child == 0) {
        char byte = 0;
        (void)!write(ready[1], "x", 1);
        if (read(go[0], &byte, 1) != 1) _exit(1);
        const pid_t grandchild = fork();
        if (grandchild == 0) {
            (void)!read(go[0], &byte, 1);
            _exit(0);
        }
        (void)!write(ready[1], &grandchild, sizeof grandchild);
        _exit(0);  // an orphan all the same
    }
    char byte = 0;
    BOOST_REQUIRE(read(ready[0], &byte, 1) == 1);
    BOOST_TEST(table.of(child).is_root());
    BOOST_TEST(table.assign(child, first));
    BOOST_TEST(table.of(child).user.real == 33u);
    BOOST_REQUIRE(write(go[1], "x", 1) == 1);
    pid_t grandchild = 0;
    BOOST_REQUIRE(read(ready[0], &grandchild, sizeof grandchild) == static_cast<ssize_t>(sizeof grandchild));
    BOOST_REQUIRE(waitpid(child, nullptr, 0) == child);
    BOOST_TEST(table.of(grandchild).user.real == 33u);
    BOOST_TEST(table.assign(grandchild, second));
    BOOST_TEST(table.of(grandchild).user.real == 34u);
    BOOST_TEST(table.assign(grandchild, {}));
    BOOST_TEST(table.of(grandchild).is_root());
    BOOST_TEST(write(go[1], "x", 1) == 1);
    for (const int fd : {ready[0], ready[1], go[0], go[1]}) close(fd);
}

BOOST_AUTO_TEST_CASE(a_process_that_is_gone_gets_nothing) {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    BOOST_REQUIRE(waitpid(child, nullptr, 0) == child);
    CredentialTable table;
    Credentials c;
    BOOST_REQUIRE(set_users(c, 33, 33, 33) == 0);
    BOOST_TEST(!table.assign(child, c));
}

BOOST_AUTO_TEST_SUITE_END()
