// One file with credentials, as Docker and Podman write them: config.json, auth.json, .dockercfg
// (containers-auth.json(5)).
//
// The content is anybody's: wrong types, doubled keys, depth and size give an Error that names the file and quotes
// nothing of it but key names. Not for several threads.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "credentials/login.hpp"
#include "credentials/secret_json.hpp"
#include "credentials/server_key.hpp"

namespace sg {

class AuthFile {
public:
    // `plain` is .dockercfg: the object itself is what others have below "auths".
    // nullptr when there is no such file; throws permission, io, corrupt, limit, invalid (not a regular file).
    static std::unique_ptr<AuthFile> open(const std::string& path, bool plain = false);
    // The same for a file that is to be written: an empty one when there is none.
    static std::unique_ptr<AuthFile> open_or_new(const std::string& path);

    const std::string& path() const { return path_; }
    bool is_new() const { return is_new_; }
    // It belongs to neither us nor root: what it says must not choose programs that we run.
    bool foreign() const { return foreign_; }
    bool others_may_read() const { return others_may_read_; }
    bool holds_secrets() const;

    // The program that "credHelpers" names for the server, and the one of "credsStore" for all others; "" when none.
    std::string helper_of(const ServerKey& server) const;
    std::string helper_of_all() const;
    // What "auths" has for the longest key that covers the server; an entry without credentials does not count.
    std::optional<Login> find(const ServerKey& server) const;
    // The keys of "auths" that have credentials, and of "credHelpers", with the user where it is known.
    std::vector<std::pair<std::string, std::string>> list() const;

    // Replaces or adds one entry. Throws Code::invalid when user or secret cannot be written (a ':' in the user).
    void put(const ServerKey& server, const Login& login);
    // Notes that a helper has it: an entry without credentials, as Docker makes.
    void put_empty(const ServerKey& server);
    // Every key that means just this server; false when there was none.
    bool remove(const ServerKey& server);
    // Replaces the file atomically, mode 0600; what we do not know of is kept. Throws Code::exists when somebody
    // else has written it since it was read.
    void write();

private:
    AuthFile(std::string path, bool plain) : path_(std::move(path)), plain_(plain) {}
    const SecretValue* object(const char* key) const;
    const SecretValue* auths() const { return plain_ ? &document_ : object("auths"); }
    std::optional<Login> login_of(const std::string& key, const SecretValue& entry) const;
    SecretValue& entry_to_write(const ServerKey& server);

    struct Stamp {
        uint64_t device = 0, inode = 0, size = 0;
        int64_t seconds = 0, nanoseconds = 0;
        bool operator==(const Stamp&) const = default;
    };
    static std::optional<Stamp> stamp_of(const std::string& path);

    std::string path_;
    bool plain_ = false, is_new_ = false, foreign_ = false, others_may_read_ = false;
    std::optional<Stamp> stamp_;
    SecretDocument document_;
};

}  // namespace sg
