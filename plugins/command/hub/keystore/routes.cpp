// The key server: HKP (draft-shaw-openpgp-hkp-00) as the clients of the family use it.
#include "hub/keystore/keys.hpp"
#include "hub/server/rate_limit.hpp"
#include "hub/service.hpp"

namespace hub {

namespace {

constexpr const char* most = "256";
// Keys that a user sends in an hour; searches by text, which read all users of keys, of an address in a minute.
constexpr int most_sent = 100, most_searches = 120;

bool by_id(const std::string& search) { return search.starts_with("0x") || search.starts_with("0X"); }

std::vector<Row> found(Database& db, const std::string& search) {
    if (by_id(search)) {
        std::string id = search.substr(2);
        for (char& c : id) c = c >= 'a' && c <= 'f' ? static_cast<char>(c - 32) : c;
        if ((id.size() != 8 && id.size() != 16 && id.size() != 32 && id.size() != 40 && id.size() != 64) || id.find_first_not_of("0123456789ABCDEF") != std::string::npos)
            throw HttpError{400, "a key id is 0x and 8, 16 or 40 hex digits"};
        return db.query("SELECT armour, listing FROM keys WHERE fingerprint IN (SELECT fingerprint FROM key_ids WHERE id = ?) LIMIT " + std::string(most), {id});
    }
    if (search.size() < 3 || search.size() > 200) throw HttpError{400, "a search has between 3 and 200 characters"};
    return db.query("SELECT armour, listing FROM keys WHERE instr(lower(users), lower(?)) > 0 LIMIT " + std::string(most), {search});
}

}  // namespace

void add_keystore_routes(Service& service, Router& router) {
    auto& db = service.database;
    const auto sent = std::make_shared<RateLimit>(most_sent, 3600), searches = std::make_shared<RateLimit>(most_searches, 60);
    router.add("GET", "/pks/lookup", Access::open, [&db, searches](Request& request, Reply& reply) {
        const std::string& operation = request.parameter("op");
        if (operation != "get" && operation != "index" && operation != "vindex") throw HttpError{501, "the key server knows get, index and vindex"};
        if (!by_id(request.parameter("search")) && !searches->take(request.client)) {
            reply.http.set("Retry-After", "60");
            throw HttpError{429, "too many searches for keys from your address: wait a minute"};
        }
        const auto rows = found(db, request.parameter("search"));
        if (rows.empty()) throw HttpError{404, "no matching keys found"};
        std::string out = operation == "get" ? "" : "info:1:" + std::to_string(rows.size()) + "\n";
        for (const auto& r : rows) out += r.text(operation == "get" ? 0 : 1);
        reply.http.set("X-HKP-Next-Page-Token", "");
        reply.send(200, operation == "get" ? "application/pgp-keys" : "text/plain; charset=utf-8", out);
    });
    router.add("POST", "/pks/add", Access::write, [&service, &db, sent](Request& request, Reply& reply) {
        if (!sent->take(request.identity.name)) {
            reply.http.set("Retry-After", "3600");
            throw HttpError{429, "a user may send " + std::to_string(most_sent) + " keys an hour"};
        }
        const auto form = query_parts(request.body(1 << 20));
        const auto armour = form.find("keytext");
        if (armour == form.end()) throw HttpError{400, "the form has no keytext"};
        const std::string print = fingerprint_of(armour->second);
        db.transaction([&] {
            const auto known = db.query("SELECT armour FROM keys WHERE fingerprint = ?", {print});
            const PublicKey key = read_key(armour->second, known.empty() ? "" : known[0].text(0));
            db.change("DELETE FROM keys WHERE fingerprint = ?", {key.fingerprint});
            db.change("INSERT INTO keys VALUES(?, ?, ?, ?, ?)", {key.fingerprint, key.armour, key.listing, key.users, now()});
            for (const auto& id : key.ids) db.change("INSERT OR IGNORE INTO key_ids VALUES(?, ?)", {id, key.fingerprint});
        });
        service.accounts.audit(request.identity.name, "add key", print);
        reply.empty(200);
    });
}

}  // namespace hub
