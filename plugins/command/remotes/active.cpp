#include "remotes/active.hpp"

#include "remotes/discovery.hpp"
#include "remotes/file.hpp"
#include "remotes/url.hpp"

namespace remotes {

namespace {

// Whose token goes to an address that the user named: the remote's with that host, else the active one's if it has
// that service there.
std::string token_for(const Config& config, const std::string& service, const std::string& url, const Host& host) {
    const Remote* active = config.find(config.active);
    for (const Remote* r : {active})
        if (r && same_origin(r->url(), url)) return r->token;
    for (const Remote& r : config.remotes)
        if (same_origin(r.url(), url)) return r.token;
    if (!active || active->token.empty()) return {};
    try {
        return same_origin(service_uri(*active, service, host), url) ? active->token : "";
    } catch (const Error& e) {
        if (e.code() == Code::cancelled) throw;
        host.debug(e.message());
        return {};
    }
}

// Nobody has chosen another one, or key servers for it.
bool is_untouched_default(const Remote& r) {
    return (r.uri == default_remote_uri || r.uri == apptainer_cloud_uri) && r.keyservers.empty();
}

}  // namespace

Service active_service(const std::string& service, const std::string& url, const Host& host) {
    const Config config = read_user(Paths::find());
    if (!url.empty()) {
        std::string base = service_url(url);
        std::string token = token_for(config, service, base, host);
        return Service(service, std::move(base), std::move(token));
    }
    const Remote& remote = config.need_active();
    return Service(service, service_uri(remote, service, host), remote.token);
}

std::vector<KeyServer> active_keyservers(const Host& host) {
    const Config config = read_user(Paths::find());
    const Remote* remote = config.find(config.active);
    if (!remote || is_untouched_default(*remote)) return {};
    const std::string own_authorization = remote->token.empty() ? "" : "Bearer " + remote->token;
    std::vector<KeyServer> out;
    if (remote->keyservers.empty()) {
        out.push_back({service_uri(*remote, "keyserver", host), own_authorization, false});
        return out;
    }
    for (const KeyServerEntry& k : remote->keyservers) {
        if (k.skip) continue;
        KeyServer server{service_url(k.uri), "", k.insecure};
        if (!k.external)
            server.authorization = own_authorization;
        else if (const Login* login = config.login_of(k.uri))
            server.authorization = login->auth;
        out.push_back(std::move(server));
    }
    return out;
}

std::string authorization_of(const std::string& url, const Host& host) {
    const Config config = read_user(Paths::find());
    if (const Login* login = config.login_of(url)) return login->auth;
    const std::string token = token_for(config, "keyserver", url, host);
    return token.empty() ? "" : "Bearer " + token;
}

std::string token_page(const Remote& remote) { return remote.url() + "/auth/tokens"; }

}  // namespace remotes
