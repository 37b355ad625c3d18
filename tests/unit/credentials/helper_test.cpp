#include "credentials/helper.hpp"

#include <signal.h>

#include <chrono>
#include <cstdlib>

#include "base/call.hpp"
#include "scratch.hpp"

using namespace sg;
using namespace std::chrono_literals;

BOOST_FIXTURE_TEST_CASE(a_helper_is_asked_through_its_standard_streams, HelperDirectory) {
    add("good", "[ \"$#\" = 1 ] && [ \"$1\" = get ] && [ \"$(cat)\" = host:5000 ] && printf '{\"ServerURL\":\"x\",\"Username\":\"me\",\"Secret\":\"p\\\\u0061ss\"}'");
    const auto login = Helper("good").get("host:5000");
    BOOST_REQUIRE(login);
    BOOST_TEST(login->user == "me");
    BOOST_TEST(text(login->secret) == "pass");
    BOOST_TEST(login->origin == "docker-credential-good");
}

BOOST_FIXTURE_TEST_CASE(a_user_called_token_has_an_identity_token, HelperDirectory) {
    add("token", "printf '{\"Username\":\"<token>\",\"Secret\":\"refresh\"}'");
    const auto login = Helper("token").get("host");
    BOOST_REQUIRE(login);
    BOOST_TEST(text(login->identity) == "refresh");
    BOOST_TEST(login->secret.empty());
}

BOOST_FIXTURE_TEST_CASE(not_found_is_no_failure, HelperDirectory) {
    add("empty", "echo 'credentials not found in native keychain'; exit 1");
    BOOST_TEST(!Helper("empty").get("host").has_value());
    BOOST_TEST(!Helper("empty").erase("host"));
}

BOOST_FIXTURE_TEST_CASE(what_a_helper_complains_of_is_told, HelperDirectory) {
    add("locked", "echo; echo 'the keyring is locked'; exit 1");
    const Error e = failure_of([] { Helper("locked").get("host"); });
    BOOST_TEST(e.code() == Code::io);
    BOOST_TEST(e.message() == "docker-credential-locked get failed: the keyring is locked");
    add("mute", "exit 3");
    BOOST_TEST(has(failure_of([] { Helper("mute").get("host"); }).message(), "exit code 3"));
    add("dying", "kill -9 $$");
    BOOST_TEST(has(failure_of([] { Helper("dying").get("host"); }).message(), "signal 9"));
}

BOOST_FIXTURE_TEST_CASE(rubbish_is_refused_and_not_shown, HelperDirectory) {
    for (const char* rubbish : {"echo hunter2", "echo '[\"hunter2\"]'", "printf '{\"Secret\":[\"hunter2\"]}'", "printf '{\"Secret\":\"hunter2\",\"Secret\":\"x\"}'",
                                "printf '{\"Username\":\"u\",\"Secret\":\"hunter2\\\\u0000\"}'", "true"}) {
        add("rubbish", rubbish);
        const Error e = failure_of([] { Helper("rubbish").get("host"); });
        BOOST_TEST(e.code() == Code::corrupt, rubbish);
        BOOST_TEST(has(e.message(), "docker-credential-rubbish"));
        BOOST_TEST(has(e.hint(), "by hand"), rubbish);
        BOOST_TEST(!has(e.message() + e.detail(), "hunter2"), e.message());
    }
    add("endless", "exec cat /dev/zero");
    BOOST_TEST(failure_of([] { Helper("endless").get("host"); }).code() == Code::limit);
}

BOOST_FIXTURE_TEST_CASE(a_helper_that_hangs_is_killed, HelperDirectory) {
    add("hanging", "echo $$ > '" + path + "/pid'; exec sleep 1000");
    const Error e = failure_of([] { Helper("hanging", -1, 300ms).get("host"); });
    BOOST_TEST(e.code() == Code::timeout);
    const int pid = std::atoi(read("pid").c_str());
    BOOST_REQUIRE(pid > 0);
    BOOST_TEST((kill(pid, 0) != 0 && errno == ESRCH));
}

BOOST_FIXTURE_TEST_CASE(a_helper_is_killed_when_the_command_is_cancelled, HelperDirectory) {
    add("hanging", "exec sleep 1000");
    CancelToken cancel;
    cancel.cancel();
    BOOST_TEST(failure_of([&] { Helper("hanging", cancel.fd()).get("host"); }).code() == Code::cancelled);
}

BOOST_FIXTURE_TEST_CASE(a_process_that_a_helper_leaves_behind_is_not_waited_for, HelperDirectory) {
    add("agent", "sleep 1000 & echo $! > '" + path + "/pid'; printf '{\"Username\":\"me\",\"Secret\":\"pw\"}'");
    BOOST_TEST(Helper("agent", -1, 20s).get("host")->user == "me");
    kill(std::atoi(read("pid").c_str()), SIGKILL);
}

BOOST_FIXTURE_TEST_CASE(a_helper_that_does_not_read_is_no_trouble, HelperDirectory) {
    add("deaf", "exec <&-; printf '{\"Username\":\"me\",\"Secret\":\"pw\"}'");
    BOOST_TEST(Helper("deaf").get("host")->user == "me");
}

BOOST_FIXTURE_TEST_CASE(a_helper_that_is_not_there_is_named, HelperDirectory) {
    BOOST_TEST(!Helper("absent").installed());
    const Error e = failure_of([] { Helper("absent").get("host"); });
    BOOST_TEST(e.code() == Code::unsupported);
    BOOST_TEST(has(e.message(), "docker-credential-absent is not installed"));
}

BOOST_AUTO_TEST_CASE(a_name_that_leads_elsewhere_is_refused) {
    for (const char* name : {"", "../x", "a/b", "a b", "x\n", "$(id)"}) BOOST_TEST(failure_of([&] { Helper helper{name}; }).code() == Code::invalid, name);
}

BOOST_FIXTURE_TEST_CASE(keeping_listing_and_erasing_speak_the_protocol, HelperDirectory) {
    add("store", "case $1 in store) cat > '" + path + "/kept';; list) printf '{\"host\":\"me\",\"https://other/v1/\":\"you\"}';; erase) cat > '" + path + "/erased';; esac");
    Helper helper("store");
    BOOST_TEST(helper.installed());
    helper.store("host", Login{"me", Secret("p\"w"), {}, ""});
    BOOST_TEST(has(read("kept"), "\"Secret\": \"p\\\"w\""));
    BOOST_TEST(has(read("kept"), "\"ServerURL\": \"host\""));
    helper.store("host", Login{"me", {}, Secret("refresh"), ""});
    BOOST_TEST(has(read("kept"), "\"Username\": \"<token>\""));
    const auto all = helper.list();
    BOOST_REQUIRE(all.size() == 2u);
    BOOST_TEST(all[1].second == "you");
    BOOST_TEST(helper.erase("host"));
    BOOST_TEST(read("erased") == "host");
}
