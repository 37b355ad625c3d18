#include "registry/client.hpp"

#include <singularity/text.hpp>

#include <algorithm>
#include <cerrno>
#include <set>
#include <singularity/json.hpp>

#include "family/manifest.hpp"
#include "registry/server_error.hpp"

namespace registry {
namespace {

namespace json = singularity::json;

constexpr uint64_t max_answer = 1 << 20;  // of a token server, or of an error
constexpr std::string_view client_id = "singularity";

// Rounded up, without libm.
std::string seconds_text(double seconds) {
    const auto whole = static_cast<long>(seconds);
    return std::to_string(whole < seconds ? whole + 1 : whole) + " s";
}

// The body of a failed answer, as much of it as may be shown; "" when it cannot be had.
std::string body_of(Answer& answer) {
    try {
        return answer.text(max_answer, "the answer");
    } catch (const Error&) {
        return {};
    }
}

std::string form(const std::vector<std::pair<std::string, std::string>>& pairs) {
    std::string out;
    for (const auto& [key, value] : pairs) out += (out.empty() ? "" : "&") + key + "=" + singularity::percent_encoded(value);
    return out;
}

std::string joined(const std::vector<std::string>& texts) {
    std::string out;
    for (const std::string& t : texts) out += (out.empty() ? "" : " ") + t;
    return out;
}

}  // namespace

Client::Client(Endpoint endpoint, std::shared_ptr<Accounts> accounts, Clock& clock)
    : endpoint_(std::move(endpoint)), accounts_(std::move(accounts)), clock_(clock) {
    want("pull");
    if (endpoint_.schemes.size() == 1) scheme_ = endpoint_.schemes[0];
}

void Client::show_warnings(const Answer& answer, const Host& host) const {
    static std::mutex mutex;
    static std::set<std::string> shown;
    for (const std::string& value : answer.headers("Warning")) {
        // 299 - "text" (distribution-spec, "Warnings")
        if (value.rfind("299 ", 0) != 0) continue;
        const size_t begin = value.find('"'), end = value.rfind('"');
        if (begin == std::string::npos || end <= begin + 1) continue;
        const std::string text = endpoint_.host + ": " + json::printable(value.substr(begin + 1, end - begin - 1), 400);
        const std::lock_guard lock(mutex);
        if (shown.size() < 64 && shown.insert(text).second) host.warn(text);
    }
}

// One request, again where that may help.
Answer Client::deliver(const Request& request, const Host& host, unsigned tries) {
    for (unsigned failed = 0, limited = 0;;) {
        double wait = 0;
        std::string why;
        try {
            Answer answer = registry::send(request, host);
            if (answer.status() == 429) {
                const auto pause = wait_after_limit(limited + 1, answer.header("Retry-After"));
                if (++limited >= max_limited_tries || !pause) return answer;
                wait = *pause;
                why = "too many requests";
            } else if (is_transient(answer.status())) {
                if (++failed >= tries) return answer;
                wait = wait_after_failure(failed, clock_);
                why = "HTTP status " + status_text(answer.status());
            } else {
                show_warnings(answer, host);
                return answer;
            }
        } catch (const Error& e) {
            if (!is_transient(e) || ++failed >= tries) throw;
            wait = wait_after_failure(failed, clock_);
            why = e.message();
        }
        host.log(wait >= 2 ? SG_INFO : SG_VERBOSE,
                 endpoint_.host + ": " + why + "; trying again in " + seconds_text(wait));
        clock_.wait(wait, host);
    }
}

// Finds out which scheme the registry speaks, with the first request itself.
Answer Client::first(Request& request, const std::string& path, const Host& host, unsigned tries) {
    std::optional<Error> failure;
    std::optional<Answer> poor;
    std::string poor_scheme;
    for (const std::string& scheme : endpoint_.schemes) {
        request.url = scheme + "://" + endpoint_.host + path;
        try {
            Answer answer = deliver(request, host, 1);
            // What a server that wants TLS says to plain HTTP.
            if (scheme == "http" && answer.status() == 400 && !poor && scheme != endpoint_.schemes.back()) {
                poor.emplace(std::move(answer));
                poor_scheme = scheme;
                continue;
            }
            scheme_ = scheme;
            return is_transient(answer.status()) || answer.status() == 429 ? deliver(request, host, tries) : std::move(answer);
        } catch (const Error& e) {
            if (e.code() == Code::cancelled || e.code() == Code::unsupported) throw;
            if (!failure) failure = e;
        }
    }
    // A server that does speak TLS, but with a certificate that nobody vouches for, is no http server.
    const bool is_tls = failure && failure->sys_errno() == EKEYREJECTED;
    if (poor && !is_tls) {
        scheme_ = poor_scheme;
        return *std::move(poor);
    }
    throw *failure;
}

std::string Client::authorization() {
    const std::lock_guard lock(mutex_);
    if (held_ && held_->until != 0 && clock_.now() >= held_->until) held_.reset();
    return held_ ? held_->authorization : std::string();
}

Answer Client::send(Request request, const Host& host, unsigned tries) {
    request.verify_tls = endpoint_.verify_tls;
    const std::string path = request.url;
    if (path.front() != '/') {
        const auto url = parse_url(path), home = parse_url(scheme_ + "://" + endpoint_.host);
        if (!url || !home || url->origin() != home->origin()) return deliver(request, host, tries);
    }
    for (unsigned round = 0;; ++round) {
        const std::string used = authorization();
        Request now = request;
        if (!used.empty()) now.headers.push_back({"Authorization", used, true});
        std::optional<Answer> answer;
        {
            std::unique_lock lock(mutex_);
            if (scheme_.empty()) {
                answer = first(now, path, host, tries);
            } else {
                if (path.front() == '/') now.url = scheme_ + "://" + endpoint_.host + path;
                lock.unlock();
                answer = deliver(now, host, tries);
            }
        }
        if (answer->status() != 401 || round == 2) return *std::move(answer);
        if (!authorize(*answer, used, round > 0, host)) return *std::move(answer);
    }
}

// After a 401 to a request that carried `used`: makes a new authorization (`renewed`: it was made anew for this request
// before). False when none can be had that was not refused already.
bool Client::authorize(const Answer& refused, const std::string& used, bool renewed, const Host& host) {
    const std::lock_guard lock(mutex_);
    // Another thread was quicker.
    if (held_ && held_->authorization != used) return true;
    const auto registry = parse_url(scheme_ + "://" + endpoint_.host);
    if (!registry) return false;
    for (const std::string& header : refused.headers("WWW-Authenticate")) {
        for (const singularity::Challenge& challenge : singularity::parse_challenges(header)) {
            if (challenge.scheme == "basic") {
                const auto account = accounts_->find(endpoint_.server);
                if (!account || account->user.empty() || account->secret.empty()) continue;
                const std::string made = basic_authorization(account->user, account->secret);
                account_ = account->origin;
                if (made == used) return false;
                held_ = Held{made, 0};
                return true;
            }
            if (challenge.scheme != "bearer") continue;
            // A token that was made for this very request was refused: only other scopes can help.
            if (renewed && challenge.parameter("error") != "insufficient_scope") return false;
            return bearer(challenge, *registry, host);
        }
    }
    return false;
}

bool Client::bearer(const singularity::Challenge& challenge, const Url& registry, const Host& host) {
    const auto account = accounts_->find(endpoint_.server);
    account_ = account ? account->origin : "";
    if (account && account->is_registry_token()) {
        const std::string made = "Bearer " + account->secret;
        const bool again = held_ && held_->authorization == made;
        held_ = Held{made, 0};
        return !again;
    }
    const std::string realm_text = challenge.parameter("realm");
    const auto realm = parse_url(realm_text);
    const std::string who = "registry " + endpoint_.host;
    if (!realm)
        throw Error(Code::corrupt, who + " names \"" + json::printable(realm_text) +
                                       "\" as its token server, which is no http or https URL");
    if (is_link_local(realm->host))
        throw Error(Code::veto, who + " names a token server at the link-local address " + realm->host,
                    "Such addresses hold a machine's own secrets: no registry has business there.");
    if (realm->scheme == "http" && registry.scheme == "https")
        throw Error(Code::veto, who + " speaks https, but names a token server without: " + realm->origin(),
                    "Passwords would travel in the clear; ask who runs the registry.");
    std::vector<std::string> scopes = scopes_;
    if (challenge.parameter("error") == "insufficient_scope")
        for (std::string& s : split_scopes(challenge.parameter("scope")))
            if (std::find(scopes.begin(), scopes.end(), s) == scopes.end()) scopes.push_back(std::move(s));
    std::optional<Account> used = account;
    if (used && realm->scheme == "http" && realm->host != registry.host && !is_loopback(realm->host)) {
        host.warn(who + ": no password is sent to its token server " + realm->origin() +
                  ", which is another host and speaks no https");
        used.reset();
    }
    const Token token = fetch_token(*realm, challenge, scopes, used, host);
    // A little early, for requests that are under way when it ends.
    held_ = Held{"Bearer " + token.text, clock_.now() + token.seconds - 5};
    return true;
}

Token Client::fetch_token(const Url& realm, const singularity::Challenge& challenge, const std::vector<std::string>& scopes,
                          const std::optional<Account>& account, const Host& host) {
    const std::string where = "token server " + realm.origin();
    const std::string service = challenge.parameter("service");
    const auto take = [&](Answer answer) {
        const unsigned status = answer.status();
        const std::string body = status == 200 ? answer.text(sources::max_document, "the answer of " + where) : body_of(answer);
        if (status == 200) return parse_token(body, where);
        refuse(status, body, where);
    };
    Request request;
    request.verify_tls = endpoint_.verify_tls;
    if (account && !account->identity.empty()) {
        const std::string body = form({{"grant_type", "refresh_token"},
                                       {"refresh_token", account->identity},
                                       {"service", service},
                                       {"scope", joined(scopes)},
                                       {"client_id", std::string(client_id)}});
        request.method = "POST";
        request.url = realm.text();
        request.headers.push_back({"Content-Type", "application/x-www-form-urlencoded", false});
        request.body = [body] { return stream_text(body); };
        request.body_size = body.size();
        request.max_redirects = 0;  // the body is a secret
        Answer answer = deliver(request, host, max_tries);
        if (answer.status() != 404 && answer.status() != 405) return take(std::move(answer));
        request = {};
        request.verify_tls = endpoint_.verify_tls;
    }
    std::vector<std::pair<std::string, std::string>> query;
    if (!service.empty()) query.emplace_back("service", service);
    for (const std::string& s : scopes) query.emplace_back("scope", s);
    const bool with_user = account && !account->user.empty() && !account->secret.empty();
    if (with_user) {
        query.emplace_back("account", account->user);
        request.headers.push_back({"Authorization", basic_authorization(account->user, account->secret), true});
    }
    request.url = realm.text() + (realm.rest.find('?') == std::string::npos ? "?" : "&") + form(query);
    return take(deliver(request, host, max_tries));
}

void Client::refuse(Answer answer, const std::string& what) {
    const unsigned status = answer.status();
    std::string also;
    for (const std::string& header : answer.headers("WWW-Authenticate"))
        if (also.empty()) also = challenge_error(header);
    const std::string body = body_of(answer);
    refuse(status, body, what, also);
}

void Client::refuse(unsigned status, std::string_view body, const std::string& what, const std::string& also) {
    std::string text = error_text(status, body, also);
    Code code = Code::network;
    std::string hint;
    if (status == 401 || status == 403) {
        code = Code::unauthorized;
        if (account_.empty())
            hint = "It is private, or there is no such image: use --docker-login, or set SINGULARITY_DOCKER_USERNAME and "
                   "SINGULARITY_DOCKER_PASSWORD.";
        else
            hint = "User name or password (from " + json::printable(account_) +
                   ") are wrong, they give no access to this, or there is no such image.";
        if (status == 401 && body.empty() && also.empty()) text = "unauthorized: authentication required";
    } else if (status == 404) {
        code = Code::not_found;
        hint = "Check name and tag; what is private is often said not to exist, until one logs in.";
    } else if (status == 429) {
        code = Code::limit;
        if (text.find("toomanyrequests") == std::string::npos) text = "toomanyrequests: " + text;
        hint = account_.empty() ? "Log in, as logged-in users may pull more often: --docker-login; or wait."
                                : "Wait, or use a mirror (registries.conf).";
    } else if (status == 413) {
        code = Code::limit;
    } else if (status < 500) {
        code = Code::unsupported;
    }
    if (!endpoint_.led.empty()) hint = "The configuration of registries leads to " + endpoint_.led + ", which was asked. " + hint;
    throw Error(code, what + ": " + text, hint);
}

}  // namespace registry
