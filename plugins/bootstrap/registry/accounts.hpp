// Who to be towards a registry: what the user gave for this command, else what the host finds
// (core/credentials).
#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <singularity/bootstrap.hpp>
#include <string>

namespace registry {

struct Account {
    std::string user, secret;
    std::string identity;  // a refresh token, or ""
    std::string origin;    // where it was found, for messages
    // Without a user the secret is a registry token, sent as it is.
    bool is_registry_token() const { return user.empty() && identity.empty() && !secret.empty(); }
};

// Any thread.
class Accounts {
public:
    // From the options docker-username, docker-password, docker-login and authfile, then the variables
    // DOCKER_USERNAME and DOCKER_PASSWORD. Throws Code::usage when half of a pair was given.
    explicit Accounts(const singularity::SourceSpec& spec);

    // Asks at the terminal when the user wanted that (once). Throws Code::usage when there is none.
    void ask(const std::string& server, const singularity::Host& host);
    // nullopt: be anonymous. `server` as in host.h, table "credentials" 2. Throws what a file or helper reports.
    std::optional<Account> find(const std::string& server);
    // The user named an account for this command.
    bool given() const { return explicit_.has_value(); }

private:
    std::mutex mutex_;
    std::optional<Account> explicit_;
    bool login_ = false;
    std::string file_;
    std::map<std::string, std::optional<Account>> found_;
};

}  // namespace registry
