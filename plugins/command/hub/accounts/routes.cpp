// /api/session, /api/tokens, /api/users: what the pages of the hub use (README.md).
#include "hub/server/json_text.hpp"
#include "hub/server/rate_limit.hpp"
#include "hub/service.hpp"

#include <singularity/json.hpp>

namespace hub {

namespace {

std::string session_json(const Identity& identity) {
    return JsonObject().add("user", identity.name).add("admin", identity.admin).add("scopes", scope_text(identity.scopes)).add("csrf", identity.csrf).text();
}

std::string cookie(const Request& request, const std::string& value, int64_t age) {
    return "hub_session=" + value + "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" + std::to_string(age) + (request.base.starts_with("https:") ? "; Secure" : "");
}

}  // namespace

void add_account_routes(Service& service, Router& router) {
    auto& accounts = service.accounts;
    const auto limit = std::make_shared<RateLimit>(10, 300);  // failed logins, for an address and for a name
    router.add("GET", "/api/session", Access::open, [](Request& request, Reply& reply) {
        reply.data(request.identity ? session_json(request.identity) : "null");
    });
    router.add("POST", "/api/session", Access::open, [&accounts, limit](Request& request, Reply& reply) {
        // A form of another site cannot send this type without asking first, so it logs nobody in.
        if (!request.http.getContentType().starts_with("application/json")) throw HttpError{415, "the body must be application/json"};
        const singularity::json::Document body(request.body(8192), "the body");
        const std::string name = body.root()["user"].text(), by_name = "user " + name.substr(0, 64);
        if (limit->full(request.client) || limit->full(by_name)) throw HttpError{429, "too many failed logins: wait five minutes"};
        auto identity = accounts.login(name, body.root()["password"].text());
        if (!identity) {
            limit->take(request.client);
            limit->take(by_name);
            throw HttpError{401, "the user is unknown or the password is wrong"};
        }
        reply.http.set("Set-Cookie", cookie(request, accounts.begin_session(*identity), 12 * 3600));
        accounts.audit(identity->name, "login", request.client);
        reply.data(session_json(*identity));
    });
    router.add("DELETE", "/api/session", Access::open, [&accounts](Request& request, Reply& reply) {
        if (!request.cookie.empty()) accounts.end_session(request.cookie);
        reply.http.set("Set-Cookie", cookie(request, "", 0));
        reply.empty(204);
    });

    router.add("GET", "/api/tokens", Access::user, [&accounts](Request& request, Reply& reply) {
        JsonArray out;
        for (const auto& row : accounts.database().query("SELECT id, name, scopes, created, expires FROM tokens WHERE user = ? ORDER BY created", {request.identity.user}))
            out.raw(JsonObject().add("id", row.text(0)).add("name", row.text(1)).add("scopes", scope_text(static_cast<unsigned>(row.number(2)))).add("created", row.number(3)).add("expires", row.number(4)).text());
        reply.data(out.text());
    });
    router.add("POST", "/api/tokens", Access::write, [&accounts](Request& request, Reply& reply) {
        const singularity::json::Document body(request.body(8192), "the body");
        const auto root = body.root();
        const unsigned scopes = parse_scopes(root["scopes"].text());
        if (!request.identity.may(scopes)) throw HttpError{403, "a token cannot make one that may do more than itself"};
        const int64_t days = root["days"].integer();
        if (days < 1 || days > 3650) throw HttpError{400, "a token lives between 1 and 3650 days"};
        const auto token = accounts.add_token(request.identity.user, root["name"].text(), scopes, days * 86400);
        accounts.audit(request.identity.name, "create token", token.id);
        reply.data(JsonObject().add("id", token.id).add("token", token.secret).add("expires", token.expires).text(), 201);
    });
    router.add("DELETE", "/api/tokens/{id}", Access::write, [&accounts](Request& request, Reply& reply) {
        if (!accounts.remove_token(request.identity.user, request.arguments[0])) throw HttpError{404, "you have no such token"};
        accounts.audit(request.identity.name, "remove token", request.arguments[0]);
        reply.empty(204);
    });

    router.add("GET", "/api/users", Access::admin, [&accounts](Request&, Reply& reply) {
        JsonArray out;
        for (const auto& row : accounts.database().query("SELECT name, admin, disabled, quota, created FROM users ORDER BY name"))
            out.raw(JsonObject().add("name", row.text(0)).add("admin", row.flag(1)).add("disabled", row.flag(2)).add("quota", row.number(3)).add("created", row.number(4)).text());
        reply.data(out.text());
    });
    router.add("POST", "/api/users", Access::admin, [&accounts](Request& request, Reply& reply) {
        const singularity::json::Document body(request.body(8192), "the body");
        const std::string name = body.root()["name"].text();
        accounts.add_user(name, body.root()["password"].text(), false);
        accounts.audit(request.identity.name, "add user", name);
        reply.data(JsonObject().add("name", name).text(), 201);
    });
    for (const bool disable : {true, false})
        router.add("POST", std::string("/api/users/{name}/") + (disable ? "disable" : "enable"), Access::admin, [&accounts, disable](Request& request, Reply& reply) {
            accounts.set_disabled(request.arguments[0], disable);
            accounts.audit(request.identity.name, disable ? "disable user" : "enable user", request.arguments[0]);
            reply.empty(204);
        });
}

}  // namespace hub
