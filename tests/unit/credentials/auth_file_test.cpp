#include "credentials/auth_file.hpp"

#include <unistd.h>

#include "credentials/base64.hpp"
#include "scratch.hpp"

using namespace sg;

namespace {

std::string encoded(const std::string& bytes) { return text(base64_encode(bytes)); }

std::optional<Login> found(const Scratch& s, const std::string& json, const char* server = "host", bool plain = false) {
    return AuthFile::open(s.write("config.json", json), plain)->find(ServerKey::of_server(server));
}

Error refused(const Scratch& s, const std::string& json) {
    const std::string path = s.write("config.json", json);
    const Error e = failure_of([&] {
        const auto file = AuthFile::open(path);
        file->helper_of(ServerKey::of_server("host"));
        file->helper_of_all();
        file->find(ServerKey::of_server("host"));
    });
    BOOST_TEST(has(e.message(), path), e.message());
    return e;
}

}  // namespace

BOOST_AUTO_TEST_CASE(base64_of_every_length_comes_back) {
    for (const std::string bytes : {"", "a", "ab", "abc", "abcd", "\xff\xfe\xfd\x01"}) {
        BOOST_TEST(text(*base64_decode(encoded(bytes))) == bytes);
    }
    BOOST_TEST(encoded("user:password") == "dXNlcjpwYXNzd29yZA==");
    BOOST_TEST(text(*base64_decode("dXNlcjpwYXNzd29yZA")) == "user:password");
    for (const char* bad : {"a", "ab!d", "a b=", "====a", "YWJj\n"}) BOOST_TEST(!base64_decode(bad).has_value(), bad);
}

BOOST_AUTO_TEST_CASE(a_password_is_what_follows_the_first_colon) {
    const Scratch s;
    auto login = found(s, R"({"auths": {"host": {"auth": ")" + encoded("user:pass:word$`") + R"("}}})");
    BOOST_REQUIRE(login);
    BOOST_TEST(login->user == "user");
    BOOST_TEST(text(login->secret) == "pass:word$`");
    BOOST_TEST(text(login->identity) == "");
    BOOST_TEST(login->origin == s / "config.json");
}

BOOST_AUTO_TEST_CASE(nuls_behind_a_password_do_not_count) {
    const Scratch s;
    const auto login = found(s, R"({"auths": {"host": {"auth": ")" + encoded(std::string("user:pw\0\0\0", 10)) + R"("}}})");
    BOOST_REQUIRE(login);
    BOOST_TEST(text(login->secret) == "pw");
}

BOOST_AUTO_TEST_CASE(tokens_and_plain_members_are_read) {
    const Scratch s;
    auto login = found(s, R"({"auths": {"host": {"identitytoken": "refresh", "auth": ")" + encoded("00000000-0000-0000-0000-000000000000:") + R"("}}})");
    BOOST_REQUIRE(login);
    BOOST_TEST(text(login->identity) == "refresh");
    BOOST_TEST(login->user == "00000000-0000-0000-0000-000000000000");

    login = found(s, R"({"auths": {"host": {"registrytoken": "as it is"}}})");
    BOOST_REQUIRE(login);
    BOOST_TEST(login->user == "");
    BOOST_TEST(text(login->secret) == "as it is");

    login = found(s, R"({"auths": {"host": {"username": "u", "password": "p"}}})");
    BOOST_REQUIRE(login);
    BOOST_TEST(login->user == "u");
    BOOST_TEST(text(login->secret) == "p");

    login = found(s, R"({"auths": {"host": {"auth": ")" + encoded("<token>:refresh") + R"("}}})");
    BOOST_REQUIRE(login);
    BOOST_TEST(text(login->identity) == "refresh");
    BOOST_TEST(login->secret.empty());
}

BOOST_AUTO_TEST_CASE(the_longest_key_that_has_credentials_wins) {
    const Scratch s;
    const std::string json = R"({"auths": {
        "host/ns/empty": {},
        "https://host/v1/": {"auth": ")" + encoded("all:1") + R"("},
        "host/ns": {"auth": ")" + encoded("ns:2") + R"("},
        "host/ns/repo": {"auth": ")" + encoded("repo:3") + R"("}}})";
    BOOST_TEST(found(s, json, "host/ns/repo")->user == "repo");
    BOOST_TEST(found(s, json, "host/ns/empty")->user == "ns");
    BOOST_TEST(found(s, json, "host/other/repo")->user == "all");
    BOOST_TEST(!found(s, json, "other").has_value());
}

BOOST_AUTO_TEST_CASE(the_oldest_form_has_its_entries_at_the_top) {
    const Scratch s;
    const std::string json = R"({"https://index.docker.io/v1/": {"auth": ")" + encoded("u:p") + R"(", "email": "a@b"}})";
    BOOST_TEST(found(s, json, "docker.io", true)->user == "u");
    BOOST_TEST(!found(s, json, "docker.io", false).has_value());
}

BOOST_AUTO_TEST_CASE(helpers_are_named_by_server_or_for_all) {
    const Scratch s;
    const auto file = AuthFile::open(s.write("c", R"({"credHelpers": {"HOST": "one", "https://index.docker.io/v1/": "hub"}, "credsStore": "all"})"));
    BOOST_TEST(file->helper_of(ServerKey::of_server("host/ns")) == "one");
    BOOST_TEST(file->helper_of(ServerKey::of_server("docker.io")) == "hub");
    BOOST_TEST(file->helper_of(ServerKey::of_server("third")) == "");
    BOOST_TEST(file->helper_of_all() == "all");
}

BOOST_AUTO_TEST_CASE(an_absent_and_an_empty_file_have_nothing) {
    const Scratch s;
    BOOST_TEST(!AuthFile::open(s / "none"));
    BOOST_TEST(!AuthFile::open(s.write("file", "") + "/below"));
    for (const char* json : {"", " \n", "{}", R"({"auths": null})", R"({"auths": {"host": null}})", R"({"auths": {"host": {}}, "credsStore": null})"})
        BOOST_TEST(!found(s, json).has_value(), json);
}

BOOST_AUTO_TEST_CASE(broken_files_are_named_and_nothing_of_them_is_shown) {
    const Scratch s;
    for (const std::string& json : {
             std::string(R"({"auths": {"host": {"auth": "hunter2")"), std::string("[]"), std::string("\"hunter2\""), std::string("hunter2"),
             std::string(R"({"auths": []})"), std::string(R"({"auths": {"host": "hunter2"}})"), std::string(R"({"auths": {"host": {"auth": 7}}})"),
             std::string(R"({"auths": {"host": {"auth": "hunter2!"}}})"), R"({"auths": {"host": {"auth": ")" + encoded("hunter2") + R"("}}})",
             R"({"auths": {"host": {"auth": ")" + encoded(":hunter2") + R"("}}})", R"({"auths": {"host": {"auth": ")" + encoded(std::string("u:hunt\0er2", 10)) + R"("}}})",
             std::string(R"({"auths": {}, "auths": {}})"), std::string(R"({"auths": {"host": {"auth": "", "auth": "hunter2"}}})"),
             std::string(R"({"credHelpers": "hunter2"})"), std::string(R"({"credHelpers": {"host": {}}})"), std::string(R"({"credsStore": []})"),
             std::string(R"({"auths": {"host": {"registrytoken": "hunter2\r\nX: y"}}})"), std::string(R"({"auths": {"host": {"identitytoken": "hunter2\u0000"}}})")}) {
        const Error e = refused(s, json);
        BOOST_TEST(!has(e.message() + e.hint() + e.detail(), "hunter2"), e.message());
    }
}

BOOST_AUTO_TEST_CASE(what_is_too_deep_or_too_large_is_refused_before_it_is_read) {
    const Scratch s;
    BOOST_TEST(refused(s, std::string(R"({"auths": )") + std::string(200000, '[')).code() == Code::limit);
    std::string many = R"({"a": 0)";
    while (many.size() < (5 << 20)) many += R"(, "https://a-long-name-of-a-server.example/v1/": {})";
    BOOST_TEST(refused(s, many + "}").code() == Code::limit);
}

BOOST_AUTO_TEST_CASE(only_a_regular_file_is_read) {
    const Scratch s;
    BOOST_REQUIRE(mkfifo((s / "fifo").c_str(), 0600) == 0);
    BOOST_TEST(has(failure_of([&] { AuthFile::open(s / "fifo"); }).message(), "not a regular file"));
    BOOST_TEST(has(failure_of([&] { AuthFile::open(s.path); }).message(), "not a regular file"));
}

BOOST_AUTO_TEST_CASE(a_file_that_others_may_read_is_known_as_such) {
    const Scratch s;
    BOOST_TEST(!AuthFile::open(s.write("a", R"({"auths": {"h": {"auth": "eDp5"}}})", 0600))->others_may_read());
    BOOST_TEST(AuthFile::open(s.write("b", R"({"auths": {"h": {"auth": "eDp5"}}})", 0640))->others_may_read());
    BOOST_TEST(AuthFile::open(s / "b")->holds_secrets());
    BOOST_TEST(!AuthFile::open(s.write("c", R"({"auths": {"h": {}}, "credsStore": "x"})", 0644))->holds_secrets());
}

BOOST_AUTO_TEST_CASE(what_is_written_is_found_again_and_foreign_members_stay) {
    const Scratch s;
    s.write("config.json", R"({"HttpHeaders": {"X": ["y", 1.5, true]}, "auths": {"https://host/v1/": {"auth": "eDp5", "email": "e"}, "other": {"auth": "eDp5"}}})", 0644);
    auto file = AuthFile::open_or_new(s / "config.json");
    file->put(ServerKey::of_server("host"), Login{"me", Secret("p:w"), {}, ""});
    file->put(ServerKey::of_server("docker.io"), Login{"", Secret("bearer"), {}, ""});
    file->put(ServerKey::of_server("acr.example"), Login{"<id>", {}, Secret("refresh"), ""});
    file->write();
    struct stat st {};
    BOOST_REQUIRE(stat((s / "config.json").c_str(), &st) == 0);
    BOOST_TEST((st.st_mode & 07777) == 0600u);
    const auto again = AuthFile::open(s / "config.json");
    BOOST_TEST(again->find(ServerKey::of_server("host"))->user == "me");
    BOOST_TEST(text(again->find(ServerKey::of_server("host"))->secret) == "p:w");
    BOOST_TEST(text(again->find(ServerKey::of_server("docker.io"))->secret) == "bearer");
    BOOST_TEST(text(again->find(ServerKey::of_server("acr.example"))->identity) == "refresh");
    BOOST_TEST(again->find(ServerKey::of_server("other"))->user == "x");
    BOOST_TEST(again->list().size() == 4u);
    const std::string now = s.read("config.json");
    BOOST_TEST(has(now, "\"HttpHeaders\""));
    BOOST_TEST(has(now, "\"https://index.docker.io/v1/\""));
    BOOST_TEST(!has(now, "https://host/v1/"));
}

BOOST_AUTO_TEST_CASE(removing_takes_every_form_of_the_key) {
    const Scratch s;
    s.write("config.json", R"({"auths": {"host": {"auth": "eDp5"}, "https://host/v1/": {"auth": "eDp5"}, "host/ns": {"auth": "eDp5"}}})");
    auto file = AuthFile::open(s / "config.json");
    BOOST_TEST(file->remove(ServerKey::of_server("host")));
    BOOST_TEST(!file->remove(ServerKey::of_server("host")));
    file->write();
    BOOST_TEST(AuthFile::open(s / "config.json")->list().size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_file_that_changed_meanwhile_is_not_overwritten) {
    const Scratch s;
    s.write("config.json", "{}");
    auto file = AuthFile::open(s / "config.json");
    s.write("config.json", R"({"auths": {"new": {"auth": "eDp5"}}})");
    file->put(ServerKey::of_server("host"), Login{"me", Secret("pw"), {}, ""});
    BOOST_TEST(failure_of([&] { file->write(); }).code() == Code::exists);
    BOOST_TEST(has(s.read("config.json"), "new"));
}

BOOST_AUTO_TEST_CASE(ones_own_link_is_followed_and_stays_and_that_of_another_user_is_refused) {
    const Scratch s;
    s.write("real.json", "{}");
    BOOST_REQUIRE(symlink((s / "real.json").c_str(), (s / "link.json").c_str()) == 0);
    auto file = AuthFile::open(s / "link.json");
    file->put(ServerKey::of_server("host"), Login{"me", Secret("pw"), {}, ""});
    file->write();
    struct stat st {};
    BOOST_REQUIRE(lstat((s / "link.json").c_str(), &st) == 0);
    BOOST_TEST(S_ISLNK(st.st_mode));
    BOOST_TEST(has(s.read("real.json"), "host"));
    if (geteuid() != 0) return;  // only root can make what another user would
    BOOST_REQUIRE(lchown((s / "link.json").c_str(), 12345, 12345) == 0);
    auto planted = AuthFile::open(s / "link.json");
    planted->remove(ServerKey::of_server("host"));
    BOOST_TEST(failure_of([&] { planted->write(); }).code() == Code::permission);
    BOOST_TEST(has(s.read("real.json"), "host"));
}
