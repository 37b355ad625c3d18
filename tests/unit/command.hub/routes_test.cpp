// Who may call what: every route, by nobody, another user, the owner with a token that may only read, the owner, and an
// administrator. A route without a line here fails the test.
#include <boost/test/unit_test.hpp>
#include <set>
#include <sstream>

#include "hub/library/library.hpp"
#include "running_hub.hpp"

using namespace hub;

namespace {

struct Line {
    const char *method, *pattern, *path, *body;
    const char* statuses;  // nobody, other, reader, owner, administrator
};

// PRIVATE, CONTAINER, COLLECTION, ENTITY: ids of alice's private things; REF: the image by its hash, not uploaded.
const Line lines[] = {
    {"GET", "/healthz", "", "", "200 200 200 200 200"},
    {"GET", "/version", "", "", "200 200 200 200 200"},
    {"GET", "/assets/config/config.prod.json", "", "", "200 200 200 200 200"},
    {"GET", "/v1/token-status", "", "", "401 200 200 200 200"},
    {"GET", "/metrics", "", "", "200 200 200 200 200"},
    {"GET", "/api/session", "", "", "200 200 200 200 200"},
    {"POST", "/api/session", "", "{}", "415 415 415 415 415"},
    {"DELETE", "/api/session", "", "", "204 204 204 204 204"},
    {"GET", "/api/tokens", "", "", "401 200 200 200 200"},
    {"POST", "/api/tokens", "", "{}", "401 400 403 400 400"},
    {"DELETE", "/api/tokens/{id}", "/api/tokens/none", "", "401 404 403 404 404"},
    {"GET", "/api/users", "", "", "401 403 403 403 200"},
    {"POST", "/api/users", "", "{}", "401 403 403 403 400"},
    {"POST", "/api/users/{name}/disable", "/api/users/nobody/disable", "", "401 403 403 403 404"},
    {"POST", "/api/users/{name}/enable", "/api/users/nobody/enable", "", "401 403 403 403 404"},
    {"GET", "/pks/lookup", "/pks/lookup?op=get&search=0x0123456789ABCDEF", "", "404 404 404 404 404"},
    {"POST", "/pks/add", "", "x", "401 400 403 400 400"},
    {"GET", "/v1/entities/{name}", "/v1/entities/alice", "", "200 200 200 200 200"},
    {"POST", "/v1/entities", "", R"({"name":"alice"})", "401 403 403 201 201"},
    {"GET", "/v1/collections/{entity}/{name}", "/v1/collections/alice/secret", "", "404 404 200 200 200"},
    {"POST", "/v1/collections", "", R"({"name":"secret","entity":"ENTITY"})", "401 403 403 201 201"},
    {"GET", "/v1/containers/{entity}/{collection}/{name}", "/v1/containers/alice/secret/x", "", "404 404 200 200 200"},
    {"POST", "/v1/containers", "", R"({"name":"x","collection":"COLLECTION"})", "401 403 403 201 201"},
    {"GET", "/v1/images/{ref*}", "/v1/images/REF", "", "404 404 404 200 200"},
    {"POST", "/v1/images", "", R"({"hash":"HASH","container":"CONTAINER"})", "401 404 403 201 201"},
    {"DELETE", "/v1/images/{ref*}", "/v1/images/alice/secret/x:none", "", "401 404 403 404 404"},
    {"GET", "/v1/imagefile/{ref*}", "/v1/imagefile/REF", "", "404 404 404 404 404"},
    {"POST", "/v1/imagefile/{id}", "/v1/imagefile/PRIVATE", "{}", "401 404 403 400 400"},
    {"GET", "/v1/tags/{container}", "/v1/tags/CONTAINER", "", "404 404 200 200 200"},
    {"POST", "/v1/tags/{container}", "/v1/tags/CONTAINER", R"({"Tag":"v1","ImageID":"PRIVATE"})",
     "401 404 403 409 409"},
    {"GET", "/v2/tags/{container}", "/v2/tags/CONTAINER", "", "404 404 200 200 200"},
    {"POST", "/v2/tags/{container}", "/v2/tags/CONTAINER", R"({"Arch":"","Tag":"v1","ImageID":"PRIVATE"})",
     "401 404 403 409 409"},
    {"GET", "/v1/search", "/v1/search?value=alice", "", "200 200 200 200 200"},
    {"POST", "/v2/imagefile/{id}", "/v2/imagefile/PRIVATE", R"({"filesize":1})", "401 404 403 200 200"},
    {"PUT", "/upload/{signed}", "/upload/forged.1.99999999999.00", "x", "403 403 403 403 403"},
    {"PUT", "/v2/imagefile/{id}/_complete", "/v2/imagefile/PRIVATE/_complete", "{}", "401 404 403 400 400"},
    {"POST", "/v2/imagefile/{id}/_multipart", "/v2/imagefile/PRIVATE/_multipart", R"({"filesize":1})",
     "401 404 403 200 200"},
    {"PUT", "/v2/imagefile/{id}/_multipart", "/v2/imagefile/PRIVATE/_multipart",
     R"({"uploadID":"none","partNumber":1})", "401 404 403 404 404"},
    {"PUT", "/v2/imagefile/{id}/_multipart_complete", "/v2/imagefile/PRIVATE/_multipart_complete",
     R"({"uploadID":"none","completedParts":[]})", "401 404 403 404 404"},
    {"PUT", "/v2/imagefile/{id}/_multipart_abort", "/v2/imagefile/PRIVATE/_multipart_abort", R"({"uploadID":"none"})",
     "401 404 403 404 404"},
    {"GET", "/api/projects", "", "", "401 200 200 200 200"},
    {"POST", "/api/projects", "", "{}", "401 400 403 400 400"},
    {"GET", "/api/images", "", "", "200 200 200 200 200"},
    {"GET", "/api/definition/{ref*}", "/api/definition/REF", "", "404 404 404 200 200"},
    {"GET", "/api/search", "/api/search?value=alice", "", "200 200 200 200 200"},
    {"GET", "/api/admin", "", "", "401 403 403 403 200"},
    {"GET", "/", "", "", "200 200 200 200 200"},
    {"GET", "/search", "", "", "200 200 200 200 200"},
    {"GET", "/library", "", "", "200 200 200 200 200"},
    {"GET", "/library/{entity}", "/library/alice", "", "200 200 200 200 200"},
    {"GET", "/library/{entity}/{collection}", "/library/alice/secret", "", "200 200 200 200 200"},
    {"GET", "/library/{entity}/{collection}/{name}", "/library/alice/secret/x", "", "200 200 200 200 200"},
    {"GET", "/build", "", "", "200 200 200 200 200"},
    {"GET", "/build/{id}", "/build/1", "", "200 200 200 200 200"},
    {"GET", "/keys", "", "", "200 200 200 200 200"},
    {"GET", "/login", "", "", "200 200 200 200 200"},
    {"GET", "/auth/tokens", "", "", "200 200 200 200 200"},
    {"GET", "/admin", "", "", "200 200 200 200 200"},
    {"GET", "/web/{name}", "/web/page.js", "", "200 200 200 200 200"},
    {"PUT", "/upload-context/{sealed}", "/upload-context/context.0.00", "x", "403 403 403 403 403"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(every_route_lets_in_whom_it_should) {
    RunningHub h;
    const uint16_t port = h.server->port();
    auto& accounts = h.service.accounts;
    accounts.add_user("boss", "long enough", true);
    const std::string boss = h.token("boss");
    const std::string reader = accounts.add_token(accounts.user_id("alice"), "t", scope_read, 3600).secret;
    const std::string hash = "sha256." + sha256_hex("x");
    const std::string entity = ask(port, "POST", "/v1/entities", h.alice, R"({"name":"alice"})").member("id");
    const std::string collection =
        ask(port, "POST", "/v1/collections", h.alice, R"({"name":"secret","private":true,"entity":")" + entity + "\"}")
            .member("id");
    const std::string container =
        ask(port, "POST", "/v1/containers", h.alice, R"({"name":"x","collection":")" + collection + "\"}").member("id");
    const std::string image =
        ask(port, "POST", "/v1/images", h.alice, R"({"hash":")" + hash + R"(","container":")" + container + "\"}")
            .member("id");
    BOOST_REQUIRE(!image.empty());
    const auto filled = [&](std::string text) {
        for (const auto& [word, value] : {std::pair<std::string, std::string>{"PRIVATE", image},
                                          {"CONTAINER", container},
                                          {"COLLECTION", collection},
                                          {"ENTITY", entity},
                                          {"HASH", hash},
                                          {"REF", "alice/secret/x:" + hash}})
            if (const size_t at = text.find(word); at != std::string::npos) text.replace(at, word.size(), value);
        return text;
    };
    std::set<std::string> told;
    for (const auto& line : lines) {
        const std::string path = filled(*line.path ? line.path : line.pattern), body = filled(line.body);
        std::string got;
        for (const auto& token : {std::string(), h.bob, reader, h.alice, boss})
            got += (got.empty() ? "" : " ") + std::to_string(ask(port, line.method, path, token, body).status);
        BOOST_TEST(got == line.statuses, line.method << " " << path << ": " << got << ", not " << line.statuses);
        told.insert(std::string(line.method) + " " + line.pattern);
    }
    for (const auto& route : h.router.routes())
        BOOST_TEST(told.contains(route.method + " " + route.pattern),
                   route.method << " " << route.pattern << " has no line");
}

BOOST_AUTO_TEST_CASE(a_search_takes_a_path_from_its_beginning_and_any_other_text) {
    const HubDirectory directory;
    Service service(directory.path + "/data");
    auto& db = service.database;
    Library library(service);
    for (const auto* entity : {"alice", "malice"}) {
        const Container c = library.make_container({entity, "default", "lolcow", "latest"}, false, 0);
        const ImageRow i = library.make_image(c, "sha256." + std::string(64, 'a'), "");
        db.change("UPDATE images SET uploaded = 1 WHERE id = ?", {i.id});
        db.change("INSERT INTO tags VALUES(?, 'amd64', 'v1', ?, 1)", {c.id, i.id});
    }
    const auto found = [&](const std::string& text) {
        const std::string json = library.search_json({}, text, "", false);
        std::string out;
        for (const auto* entity : {"alice", "malice"})
            if (json.find("\"entityName\":\"" + std::string(entity) + "\"") != std::string::npos)
                out += std::string(entity) + " ";
        return out;
    };
    BOOST_TEST(found("alice/default/lol") == "alice ");
    BOOST_TEST(found("lolcow") == "alice malice ");
    BOOST_TEST(found("lice/default/lolcow") == "alice malice ");
    for (const auto* part :
         {"/default/lolc", "ice/default/l", "default/lolcow", "fault/lol", "lice/def", "DEFAULT/LOL", "/lolcow"})
        BOOST_TEST(found(part) == "alice malice ", part);
    for (const auto* part : {"alice/default/", "alice/default", "alice/d", "Alice/Default/LOLcow"})
        BOOST_TEST(found(part) == "alice ", part);
    for (const auto* part : {"default/olcow", "alic/default/lolcow", "lice/efault/lol", "a/b/c/d",
                             "alice/defaul/lolcow", "lice_default/l", "///"})
        BOOST_TEST(found(part) == "", part);
    // What a description holds is found too.
    const auto with_text = library.container({}, "alice", "default", "lolcow");
    db.change("UPDATE containers SET description = 'of bin/python and a/b/c/d' WHERE id = ?", {with_text.id});
    library.reindex(with_text.id);
    for (const auto* part : {"bin/python", "a/b/c/d"}) BOOST_TEST(found(part) == "alice ", part);
    BOOST_TEST(found("alice/%") == "");
    BOOST_TEST(found("\"alice\" OR *") == "");
}
