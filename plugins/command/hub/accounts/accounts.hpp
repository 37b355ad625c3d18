// Who may do what: users, their tokens, and the sessions of browsers.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hub/store/database.hpp"

namespace hub {

enum Scope : unsigned { scope_read = 1, scope_write = 2, scope_build = 4, scope_all = 7 };

// Who asks. user 0: nobody.
struct Identity {
    int64_t user = 0;
    std::string name;
    bool admin = false;
    unsigned scopes = 0;
    std::string csrf;  // of a browser's session: what X-CSRF-Token must say in requests that change something
    explicit operator bool() const { return user != 0; }
    bool may(unsigned scope) const { return (scopes & scope) == scope; }
};

inline constexpr const char* temporary_entity = "remote-builds";  // of the library; no user has its name

struct NewToken {
    std::string id, secret;  // the secret is shown once and nowhere kept
    int64_t expires = 0;     // Unix seconds
};

// Passwords are kept as scrypt (RFC 7914) with N = 2^15, r = 8, p = 1; tokens and sessions, which are random, as SHA-256. Any thread.
class Accounts {
public:
    explicit Accounts(Database& database) : db_(database) {}

    // Names are entities of the library too: [a-z0-9]+([._-][a-z0-9]+)*, at most 64 characters; passwords have 8 to 1024 bytes.
    void add_user(const std::string& name, const std::string& password, bool admin);
    void set_disabled(const std::string& name, bool disabled);  // ends its sessions; throws Code::not_found
    void set_quota(const std::string& name, int64_t bytes);     // 0: none
    void set_password(const std::string& name, const std::string& password);
    int64_t user_id(const std::string& name);  // throws Code::not_found
    // nullopt for an unknown user, a wrong password and a disabled user alike, after the same time.
    std::optional<Identity> login(const std::string& name, const std::string& password);

    NewToken add_token(int64_t user, const std::string& name, unsigned scopes, int64_t lifetime);  // seconds
    bool remove_token(int64_t user, const std::string& id);
    std::optional<Identity> by_token(const std::string& secret);

    // The cookie's value; `identity.csrf` is set.
    std::string begin_session(Identity& identity);
    void end_session(const std::string& cookie);
    std::optional<Identity> by_session(const std::string& cookie);

    void audit(const std::string& actor, const std::string& action, const std::string& object);
    Database& database() { return db_; }

private:
    Database& db_;
};

int64_t now();                        // Unix seconds
std::string random_hex(size_t bytes);
std::string sha256_hex(const std::string& text);
std::string hmac_hex(const std::string& key, const std::string& text);  // HMAC-SHA-256
// "TEXT.SIGNATURE", and TEXT again; nullopt when the signature is not this key's.
std::string sealed(const std::string& key, const std::string& text);
std::optional<std::string> opened(const std::string& key, const std::string& text);
std::string scope_text(unsigned scopes);                 // "read,write"
unsigned parse_scopes(const std::string& text);          // throws Code::usage
bool valid_name(const std::string& text);                // one part of a library reference, at most 64 characters

}  // namespace hub
