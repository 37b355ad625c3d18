#include "hub/accounts/accounts.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <ctime>

#include <singularity/digest.hpp>

namespace hub {

using singularity::Code;
using singularity::Error;

namespace {

constexpr int64_t session_lifetime = 12 * 3600;

std::string hex(const unsigned char* bytes, size_t size) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (size_t i = 0; i < size; ++i) out += {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
    return out;
}

// "scrypt$SALT$HASH". 32 MiB are needed for each, so one at a time: logins must not fill the memory.
std::string scrypt(const std::string& password, const std::string& salt) {
    static std::mutex one;
    const std::scoped_lock lock(one);
    unsigned char key[32];
    if (EVP_PBE_scrypt(password.data(), password.size(), reinterpret_cast<const unsigned char*>(salt.data()), salt.size(), 1 << 15, 8, 1, 64 << 20, key, sizeof key) != 1)
        throw Error(Code::limit, "cannot hash a password: out of memory");
    return "scrypt$" + salt + "$" + hex(key, sizeof key);
}

void check_password(const std::string& password) {
    if (password.size() < 8 || password.size() > 1024) throw Error(Code::invalid, "a password has between 8 and 1024 bytes");
}

Identity identity_of(const Row& row, unsigned scopes) { return {row.number(0), row.text(1), row.flag(2), scopes, {}}; }

}  // namespace

int64_t now() { return std::time(nullptr); }

std::string random_hex(size_t bytes) {
    std::vector<unsigned char> b(bytes);
    if (RAND_bytes(b.data(), static_cast<int>(bytes)) != 1) throw Error(Code::internal, "this machine has no random numbers");
    return hex(b.data(), bytes);
}

std::string sha256_hex(const std::string& text) {
    unsigned char out[32];
    SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), out);
    return hex(out, sizeof out);
}

std::string hmac_hex(const std::string& key, const std::string& text) {
    unsigned char out[32];
    unsigned size = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(), out, &size);
    return hex(out, sizeof out);
}

std::string sealed(const std::string& key, const std::string& text) { return text + "." + hmac_hex(key, text); }

std::optional<std::string> opened(const std::string& key, const std::string& text) {
    const size_t dot = text.rfind('.');
    if (dot == std::string::npos) return std::nullopt;
    const std::string inner = text.substr(0, dot), right = sealed(key, inner);
    if (text.size() != right.size() || CRYPTO_memcmp(text.data(), right.data(), right.size()) != 0) return std::nullopt;
    return inner;
}

std::string scope_text(unsigned scopes) {
    std::string out;
    for (const auto& [bit, name] : {std::pair{scope_read, "read"}, {scope_write, "write"}, {scope_build, "build"}})
        if (scopes & bit) out += (out.empty() ? "" : ",") + std::string(name);
    return out;
}

unsigned parse_scopes(const std::string& text) {
    unsigned scopes = 0;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find(',', at), text.size());
        const std::string one = text.substr(at, end - at);
        if (one == "read") scopes |= scope_read;
        else if (one == "write") scopes |= scope_write;
        else if (one == "build") scopes |= scope_build;
        else throw Error(Code::usage, "a token has the scopes read, write and build, with commas between them");
        at = end + 1;
    }
    return scopes;
}

bool valid_name(const std::string& text) {
    if (text.empty() || text.size() > 64) return false;
    bool letter = false;
    for (const char c : text) {
        const bool l = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!l && (!letter || (c != '.' && c != '_' && c != '-'))) return false;
        letter = l;
    }
    return letter;
}

void Accounts::add_user(const std::string& name, const std::string& password, bool admin) {
    if (!valid_name(name)) throw Error(Code::invalid, "a user's name has small letters and digits, with single '.', '_' or '-' between them, and at most 64 of them");
    if (name == temporary_entity) throw Error(Code::invalid, "'" + name + "' is where results of builds are kept for a day, and no user");
    check_password(password);
    const std::string kept = scrypt(password, random_hex(16));
    db_.transaction([&] {
        if (!db_.query("SELECT 1 FROM users WHERE name = ?", {name}).empty()) throw Error(Code::exists, "there is a user '" + name + "' already");
        db_.change("INSERT INTO users(name, password, admin, created) VALUES(?, ?, ?, ?)", {name, kept, int64_t{admin}, now()});
    });
}

int64_t Accounts::user_id(const std::string& name) {
    const auto rows = db_.query("SELECT id FROM users WHERE name = ?", {name});
    if (rows.empty()) throw Error(Code::not_found, "there is no such user", "see: singularity hub user list");
    return rows[0].number(0);
}

void Accounts::set_disabled(const std::string& name, bool disabled) {
    db_.transaction([&] {
        const int64_t user = user_id(name);
        db_.change("UPDATE users SET disabled = ? WHERE id = ?", {int64_t{disabled}, user});
        db_.change("DELETE FROM sessions WHERE user = ?", {user});
    });
}

void Accounts::set_quota(const std::string& name, int64_t bytes) { db_.change("UPDATE users SET quota = ? WHERE id = ?", {bytes, user_id(name)}); }

void Accounts::set_password(const std::string& name, const std::string& password) {
    check_password(password);
    const std::string kept = scrypt(password, random_hex(16));
    db_.transaction([&] {
        const int64_t user = user_id(name);
        db_.change("UPDATE users SET password = ? WHERE id = ?", {kept, user});
        db_.change("DELETE FROM sessions WHERE user = ?", {user});
    });
}

std::optional<Identity> Accounts::login(const std::string& name, const std::string& password) {
    if (password.size() > 1024) return std::nullopt;
    const auto rows = db_.query("SELECT id, name, admin, password FROM users WHERE name = ? AND disabled = 0", {name});
    const std::string kept = rows.empty() ? "scrypt$" + std::string(32, '0') + "$" : rows[0].text(3);
    const std::string salt = kept.substr(7, kept.rfind('$') - 7);
    const std::string given = scrypt(password, salt);
    if (given.size() != kept.size() || CRYPTO_memcmp(given.data(), kept.data(), kept.size()) != 0) return std::nullopt;
    return identity_of(rows[0], scope_all);
}

NewToken Accounts::add_token(int64_t user, const std::string& name, unsigned scopes, int64_t lifetime) {
    if (lifetime < 60 || lifetime > int64_t{3660} * 86400) throw Error(Code::invalid, "a token lives between one minute and ten years");
    if (name.size() > 200) throw Error(Code::invalid, "the name of a token has at most 200 bytes");
    // Clients of the family take a token below 200 characters for a mistake, and one above 4096.
    NewToken token{random_hex(12), "sgt_" + random_hex(128), now() + lifetime};
    db_.change("INSERT INTO tokens(id, user, name, hash, scopes, created, expires) VALUES(?, ?, ?, ?, ?, ?, ?)",
               {token.id, user, name, sha256_hex(token.secret), int64_t{scopes}, now(), token.expires});
    return token;
}

bool Accounts::remove_token(int64_t user, const std::string& id) { return db_.change("DELETE FROM tokens WHERE user = ? AND id = ?", {user, id}) > 0; }

std::optional<Identity> Accounts::by_token(const std::string& secret) {
    const auto rows = db_.query("SELECT users.id, users.name, admin, scopes FROM tokens JOIN users ON users.id = user WHERE hash = ? AND expires > ? AND disabled = 0",
                                {sha256_hex(secret), now()});
    if (rows.empty()) return std::nullopt;
    return identity_of(rows[0], static_cast<unsigned>(rows[0].number(3)));
}

std::string Accounts::begin_session(Identity& identity) {
    const std::string cookie = random_hex(32);
    identity.csrf = random_hex(16);
    db_.transaction([&] {
        db_.change("DELETE FROM sessions WHERE expires < ?", {now()});
        db_.change("INSERT INTO sessions(hash, user, csrf, expires) VALUES(?, ?, ?, ?)", {sha256_hex(cookie), identity.user, identity.csrf, now() + session_lifetime});
    });
    return cookie;
}

void Accounts::end_session(const std::string& cookie) { db_.change("DELETE FROM sessions WHERE hash = ?", {sha256_hex(cookie)}); }

std::optional<Identity> Accounts::by_session(const std::string& cookie) {
    const auto rows = db_.query("SELECT users.id, users.name, admin, csrf FROM sessions JOIN users ON users.id = user WHERE hash = ? AND expires > ? AND disabled = 0",
                                {sha256_hex(cookie), now()});
    if (rows.empty()) return std::nullopt;
    Identity identity = identity_of(rows[0], scope_all);
    identity.csrf = rows[0].text(3);
    return identity;
}

void Accounts::audit(const std::string& actor, const std::string& action, const std::string& object) {
    db_.change("INSERT INTO audit(time, actor, action, object) VALUES(?, ?, ?, ?)", {now(), actor, action, object});
}

}  // namespace hub
