#include <boost/test/unit_test.hpp>

#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>

#include "hub/server/json_text.hpp"
#include "hub/service.hpp"

#include <singularity/error.hpp>

using namespace hub;

namespace {

struct Directory {
    std::string path;
    Directory() {
        char name[] = "/tmp/hub-test-XXXXXX";
        path = ::mkdtemp(name);
    }
    ~Directory() { std::filesystem::remove_all(path); }
};

struct Fixture {
    Directory directory;
    Service service{directory.path + "/data"};
};

int status_of_path(const std::string& path) {
    try {
        path_parts(path);
        return 200;
    } catch (const HttpError& e) {
        return e.status;
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(paths_that_climb_or_hide_something_reach_no_handler) {
    for (const auto* path : {"/a/../b", "/a/%2e%2e/b", "/a%2fb", "/a%00b", "/a%0ab", "/./a", "/a%5cb", "/a%zz", "/a%4"}) BOOST_TEST(status_of_path(path) == 400, path);
    BOOST_TEST(status_of_path("/" + std::string(10000, 'a')) == 414);
    BOOST_TEST((path_parts("//v1/entities/a%20b") == std::vector<std::string>{"v1", "entities", "a b"}));
}

BOOST_AUTO_TEST_CASE(fixed_parts_win_over_arguments_and_those_over_the_rest) {
    Router router;
    const auto nothing = [](Request&, Reply&) {};
    router.add("GET", "/a/{rest*}", Access::open, nothing);
    router.add("GET", "/a/{one}", Access::open, nothing);
    router.add("GET", "/a/b", Access::open, nothing);
    router.add("PUT", "/a/b", Access::open, nothing);
    std::vector<std::string> arguments;
    BOOST_TEST(router.find("GET", {"a", "b"}, arguments).pattern == "/a/b");
    BOOST_TEST(router.find("HEAD", {"a", "c"}, arguments).pattern == "/a/{one}");
    BOOST_TEST(arguments.at(0) == "c");
    BOOST_TEST(router.find("GET", {"a", "b", "c"}, arguments).pattern == "/a/{rest*}");
    BOOST_TEST(arguments.at(0) == "b/c");
    BOOST_CHECK_EXCEPTION(router.find("DELETE", {"a", "b"}, arguments), HttpError, [](const auto& e) { return e.status == 405; });
    BOOST_CHECK_EXCEPTION(router.find("GET", {"x"}, arguments), HttpError, [](const auto& e) { return e.status == 404; });
}

BOOST_AUTO_TEST_CASE(json_texts_are_escaped_and_valid_utf8) {
    BOOST_TEST(json_quoted("a\"\\\n\x01") == "\"a\\\"\\\\\\u000a\\u0001\"");
    BOOST_TEST(json_quoted("\xc3\xa4\xff\xed\xa0\x80") == "\"\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

BOOST_AUTO_TEST_CASE(what_fails_in_a_transaction_leaves_nothing) {
    Fixture f;
    auto& db = f.service.database;
    BOOST_CHECK_THROW(db.transaction([&] {
        db.change("INSERT INTO meta VALUES('a', 'b')");
        db.transaction([&] { db.change("INSERT INTO meta VALUES('a', 'c')"); });
    }), singularity::Error);
    BOOST_TEST(db.query("SELECT 1 FROM meta WHERE key = 'a'").empty());
    BOOST_TEST(db.damage().empty());
}

BOOST_AUTO_TEST_CASE(a_user_logs_in_with_the_right_password_alone_and_not_when_disabled) {
    Fixture f;
    auto& a = f.service.accounts;
    a.add_user("alice", "long enough", false);
    BOOST_CHECK_THROW(a.add_user("alice", "long enough", false), singularity::Error);
    BOOST_CHECK_THROW(a.add_user("../x", "long enough", false), singularity::Error);
    BOOST_CHECK_THROW(a.add_user("bob", "short", false), singularity::Error);
    BOOST_TEST(a.login("alice", "long enough")->name == "alice");
    BOOST_TEST(!a.login("alice", "long enougH"));
    BOOST_TEST(!a.login("alice' OR 1=1 --", "long enough"));
    a.set_disabled("alice", true);
    BOOST_TEST(!a.login("alice", "long enough"));
    BOOST_TEST(f.service.database.query("SELECT password FROM users")[0].text(0).find("long enough") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_token_has_its_scopes_until_its_time_is_over) {
    Fixture f;
    auto& a = f.service.accounts;
    a.add_user("alice", "long enough", false);
    const auto token = a.add_token(a.user_id("alice"), "t", scope_read, 60);
    const auto who = a.by_token(token.secret);
    BOOST_REQUIRE(who);
    BOOST_TEST(who->may(scope_read));
    BOOST_TEST(!who->may(scope_write));
    BOOST_TEST(f.service.database.query("SELECT 1 FROM tokens WHERE hash = ?", {token.secret}).empty());
    f.service.database.change("UPDATE tokens SET expires = ?", {now() - 1});
    BOOST_TEST(!a.by_token(token.secret));
}

BOOST_AUTO_TEST_CASE(garbage_collection_keeps_running_uploads_and_what_images_have) {
    Fixture f;
    auto& db = f.service.database;
    db.change("INSERT INTO entities VALUES('e', 'alice', '', 0)");
    db.change("INSERT INTO collections VALUES('c', 'e', 'default', '', 0, 0)");
    db.change("INSERT INTO containers(id, collection, name, description, private, created) VALUES('n', 'c', 'x', '', 0, 0)");
    const std::string kept(64, 'a'), lost(64, 'b');
    db.change("INSERT INTO images(id, container, hash, description, uploaded, created) VALUES('i', 'n', ?, '', 1, 0)", {"sha256." + kept});
    db.change("INSERT INTO uploads VALUES('running', 'i', 1, 1, ?), ('over', 'i', 1, 1, ?)", {now() + 60, now() - 60});
    for (const auto& hash : {kept, lost}) {
        f.service.blobs->open_upload("u");
        f.service.blobs->commit("u", hash);
    }
    f.service.blobs->open_upload("running");
    f.service.blobs->open_upload("over");
    const auto collected = collect_garbage(f.service);
    BOOST_TEST(collected.blobs == 1U);
    BOOST_TEST(collected.uploads == 1U);
    BOOST_TEST(bool(f.service.blobs->open(kept)));
    BOOST_TEST(!f.service.blobs->open(lost));
    BOOST_TEST((f.service.blobs->list_uploads() == std::vector<std::string>{"running"}));
    BOOST_TEST(find_damage(f.service).size() == 1U);  // the kept file is empty, and so has another hash
}

BOOST_AUTO_TEST_CASE(a_database_of_the_first_version_becomes_the_newest_with_all_that_it_holds) {
    Directory directory;
    const std::string file = directory.path + "/hub.db";
    sqlite3* raw = nullptr;
    BOOST_REQUIRE(sqlite3_open(file.c_str(), &raw) == SQLITE_OK);
    const auto run = [&](const std::string& sql) { BOOST_REQUIRE_MESSAGE(sqlite3_exec(raw, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK, sqlite3_errmsg(raw)); };
    run(schema_versions()[0]);
    run("PRAGMA user_version = 1;"
        "INSERT INTO users(name, password, admin, created) VALUES('alice', 'scrypt$x$y', 1, 5);"
        "INSERT INTO entities VALUES('e', 'alice', '', 5);"
        "INSERT INTO collections VALUES('c', 'e', 'default', '', 1, 5);"
        "INSERT INTO containers(id, collection, name, description, private, created) VALUES('n', 'c', 'cow', 'says moo', 0, 5);"
        "INSERT INTO images(id, container, hash, description, uploaded, created) VALUES('i', 'n', 'sha256.aa', '', 1, 5);"
        "INSERT INTO tags VALUES('n', 'amd64', 'v1', 'i', 5);"
        "INSERT INTO search(rowid, container, text) VALUES(1, 'n', 'alice/default/cow says moo');");
    sqlite3_close(raw);
    Database db(file);
    BOOST_TEST(static_cast<size_t>(db.query("PRAGMA user_version").at(0).number(0)) == schema_versions().size());
    BOOST_TEST(db.query("SELECT image FROM tags WHERE tag = 'v1'").at(0).text(0) == "i");
    BOOST_TEST(db.query("SELECT owner FROM containers").at(0).text(0) == "0");
    BOOST_TEST(db.query("SELECT container FROM search WHERE search MATCH '\"says\"'").size() == 1U);
    db.change("INSERT INTO contexts(id, user, digest, size, expires) VALUES('x', 1, 'd', 1, 1)");
    BOOST_TEST(db.query("SELECT claims FROM contexts").at(0).number(0) == 1);
    BOOST_TEST(db.damage().empty());
}

// A database in the field has run them: what once stood here stays, and more comes behind.
BOOST_AUTO_TEST_CASE(versions_of_the_schema_that_were_published_are_as_they_were) {
    static const std::vector<std::string> published = {
        "1327ea3d904b8e03736761a661097e28d2ca59ec299c87233b7af33dac9d69ae",
        "343d60ff296fc56bb6851e888f438593d8a6ee6e0c0b9026e4d55bee7bfd568d",
        "f4360481166d9f82660175a301a93552a56b2a2e346c3c03e4a23cf04d2b1455",
        "da2fdd51e9cfa6113e2c3fbfcdd7dd317492083c59ec999329c465a2cd357fff"};
    BOOST_REQUIRE(schema_versions().size() >= published.size());
    for (size_t i = 0; i < published.size(); ++i) BOOST_TEST(sha256_hex(schema_versions()[i]) == published[i], "version " << i + 1);
}

BOOST_AUTO_TEST_CASE(a_database_of_a_later_version_is_left_alone) {
    Directory directory;
    const std::string file = directory.path + "/hub.db";
    { Database(file).query("PRAGMA user_version = 1000"); }
    BOOST_CHECK_EXCEPTION(Database{file}, singularity::Error, [](const auto& e) { return e.message().find("later version") != std::string::npos; });
}
