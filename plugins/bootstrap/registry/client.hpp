// Requests to one registry: which scheme it speaks, who we are there, what is tried again.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <singularity/challenge.hpp>

#include "registry/accounts.hpp"
#include "registry/endpoint.hpp"
#include "registry/http.hpp"
#include "registry/retry.hpp"
#include "registry/token.hpp"
#include "registry/url.hpp"

namespace registry {

// Any thread.
class Client {
public:
    Client(Endpoint endpoint, std::shared_ptr<Accounts> accounts, Clock& clock = real_clock());

    const Endpoint& endpoint() const { return endpoint_; }
    // The rights that requests ask tokens for: "pull" or "pull,push" here, and pull elsewhere.
    void want(std::string_view actions) { scopes_ = {repository_scope(endpoint_.repository, actions)}; }
    void want_pull_from(const std::string& repository) { scopes_.push_back(repository_scope(repository, "pull")); }

    // Sends `request`, whose URL is a path ("/v2/...") or a whole URL that the registry gave. Authorization is added,
    // asked for when the server wants it, and never sent to another host. Transient failures are tried again (`tries`
    // in all). The answer may have any status; 401 is one that could not be helped.
    Answer send(Request request, const Host& host, unsigned tries = max_tries);
    // "/v2/REPOSITORY/" + rest
    std::string path(const std::string& rest) const { return "/v2/" + endpoint_.repository + "/" + rest; }

    // Throws what a failed answer means: "WHAT: text of the server", with a hint. `what` is one line without colon.
    [[noreturn]] void refuse(Answer answer, const std::string& what);
    // The same for an answer whose body has been read; `also`: what its headers say.
    [[noreturn]] void refuse(unsigned status, std::string_view body, const std::string& what, const std::string& also = {});

    Clock& clock() const { return clock_; }

private:
    struct Held {
        std::string authorization;
        double until = 0;  // by clock_; 0 = as long as we live
    };
    Answer first(Request& request, const std::string& path, const Host& host, unsigned tries);
    Answer deliver(const Request& request, const Host& host, unsigned tries);
    std::string authorization();
    bool authorize(const Answer& refused, const std::string& used, bool renewed, const Host& host);
    bool bearer(const singularity::Challenge& challenge, const Url& registry, const Host& host);
    Token fetch_token(const Url& realm, const singularity::Challenge& challenge, const std::vector<std::string>& scopes,
                      const std::optional<Account>& account, const Host& host);
    void show_warnings(const Answer& answer, const Host& host) const;

    Endpoint endpoint_;
    std::shared_ptr<Accounts> accounts_;
    Clock& clock_;
    std::vector<std::string> scopes_;

    std::mutex mutex_;  // of all below
    std::string scheme_;  // "" until the first answer came
    std::optional<Held> held_;
    std::string account_;  // where the account in use was found, "" = anonymous
};

}  // namespace registry
