// Which credentials are taken, in which order.
#include "registry/accounts.hpp"

#include "fake_registry.hpp"

using namespace fake;
using fixture::contains;
using fixture::error_of;
using registry::Accounts;

namespace {

singularity::SourceSpec spec(std::vector<std::pair<std::string, std::string>> options) {
    singularity::SourceSpec s;
    s.directory = "/where";
    s.options = std::move(options);
    return s;
}

std::string found(Accounts& a, const std::string& server = "h") {
    const auto account = a.find(server);
    return account ? account->user + ":" + account->secret + ":" + account->identity : "anonymous";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(accounts)

BOOST_AUTO_TEST_CASE(options_come_before_docker_s_variables_and_these_before_the_host) {
    World w;
    credentials["h"] = who("stored", "s");
    Accounts stored(spec({}));
    BOOST_TEST(found(stored) == "stored:s:");
    ::setenv("DOCKER_USERNAME", "$oauthtoken", 1);
    ::setenv("DOCKER_PASSWORD", "p%40 \"'$x", 1);
    Accounts variables(spec({}));
    BOOST_TEST(found(variables) == "$oauthtoken:p%40 \"'$x:");
    Accounts options(spec({{"docker-username", "u"}, {"docker-password", "p"}}));
    BOOST_TEST(found(options) == "u:p:");
    // Half from here, half from there.
    Accounts mixed(spec({{"docker-username", "u"}}));
    BOOST_TEST(found(mixed) == "u:p%40 \"'$x:");
    BOOST_TEST(looked_up.size() == 1u);
}

BOOST_AUTO_TEST_CASE(half_of_a_pair_is_refused) {
    World w;
    BOOST_TEST((error_of([] { Accounts a(spec({{"docker-username", "u"}})); }).code() == Code::usage));
    BOOST_TEST(contains(error_of([] { Accounts a(spec({{"docker-password", "p"}})); }).message(), "no user name"));
    ::setenv("DOCKER_USERNAME", "u", 1);  // often set for other programs
    Accounts a(spec({}));
    BOOST_TEST(found(a) == "anonymous");
}

BOOST_AUTO_TEST_CASE(a_file_of_the_user_s_choice_is_asked_alone_and_once) {
    World w;
    credentials["h"] = who("u", "s");
    Accounts a(spec({{"authfile", "auth.json"}}));
    found(a);
    found(a);
    BOOST_TEST(looked_up == std::vector<std::string>{"h in /where/auth.json"});
}

BOOST_AUTO_TEST_CASE(login_asks_once_and_says_what_helps_without_a_terminal) {
    World w;
    typed = who("typed", "pw");
    Accounts a(spec({{"docker-login", "true"}}));
    a.ask("h", w.host);
    a.ask("other", w.host);
    BOOST_TEST(found(a) == "typed:pw:");
    BOOST_TEST(looked_up == std::vector<std::string>{"asked: Enter Docker Username: | Enter Docker Password: "});
    typed.reset();
    Accounts b(spec({{"docker-login", "true"}}));
    const Error e = error_of([&] { b.ask("h", w.host); });
    BOOST_TEST((e.code() == Code::usage));
    BOOST_TEST(contains(e.hint(), "SINGULARITY_DOCKER_USERNAME"));
}

BOOST_AUTO_TEST_SUITE_END()
