#include "remotes/discovery.hpp"

#include <mutex>

#include "remotes/url.hpp"

namespace remotes {

namespace json = singularity::json;

namespace {

constexpr uint32_t discovery_ms = 10000;

// The clouds that are the default of the other tools, which do not ask for their services either.
struct KnownService {
    std::string_view cloud, name;
    const char* uri;
};
constexpr KnownService known_services[] = {{default_remote_uri, "builder", "https://build.sylabs.io"},
                                           {default_remote_uri, "keyserver", "https://keys.sylabs.io"},
                                           {default_remote_uri, "library", "https://library.sylabs.io"},
                                           {apptainer_cloud_uri, "keyserver", "https://keys.openpgp.org"}};

Error no_service(const Remote& remote, const std::string& service) {
    return Error(Code::not_found, "remote " + remote.name + " (" + remote.uri + ") has no service '" + service + "'",
                 "Add and use one that has it: singularity remote add NAME HOST");
}

std::map<std::string, std::string> ask(const Remote& remote, const Host& host) {
    const Service site("remote " + remote.name, remote.url(), "");
    Call call;
    call.path = "assets/config/config.prod.json";
    call.timeout_ms = discovery_ms;
    const Reply reply = site.ask(call, host);
    if (reply.status != 200)
        throw Error(reply.status >= 500 ? Code::network : Code::not_found,
                    remote.url() + " names no services: HTTP status " + status_text(reply.status) + " for " + call.path,
                    "Is it the address of a Library? See: singularity remote list");
    const json::Document document(reply.text, "the list of services of " + remote.url());
    std::map<std::string, std::string> out;
    for (const auto& [key, value] : document.root().members()) {
        if (!value.is_object() || !value["uri"].is_text()) continue;
        std::string uri = value["uri"].text(), name = key.ends_with("API") ? key.substr(0, key.size() - 3) : key;
        if (name == "keystore") name = "keyserver";
        if (uri.empty()) continue;
        try {
            uri = service_url(uri);
        } catch (const Error&) {
            throw Error(Code::corrupt, remote.url() + " names an address for " + json::printable(name) +
                                           " that is none: " + json::printable(uri));
        }
        if (uri.starts_with("http://") && !remote.insecure && !is_loopback(uri))
            throw Error(Code::veto, remote.url() + " leads to " + json::printable(uri) + ", without encryption",
                        "If that is as it should be, add the remote with --insecure.");
        out[name] = uri;
    }
    return out;
}

}  // namespace

const std::map<std::string, std::string>& services_of(const Remote& remote, const Host& host) {
    static std::mutex mutex;
    static std::map<std::string, std::map<std::string, std::string>> known;  // by address
    const std::lock_guard lock(mutex);
    const auto at = known.find(remote.url());
    if (at != known.end()) return at->second;
    return known.emplace(remote.url(), ask(remote, host)).first->second;
}

std::string service_uri(const Remote& remote, const std::string& service, const Host& host) {
    for (const auto& [cloud, name, uri] : known_services)
        if (remote.uri == cloud && service == name) return uri;
    // It serves no file to ask for.
    if (remote.uri == apptainer_cloud_uri) throw no_service(remote, service);
    const auto& all = services_of(remote, host);
    const auto at = all.find(service);
    if (at == all.end()) throw no_service(remote, service);
    return at->second;
}

void verify_token(const Remote& remote, const std::string& token, const Host& host) {
    const Service service("token service", service_uri(remote, "token", host), token);
    Call call;
    call.path = "v1/token-status";
    call.timeout_ms = discovery_ms;
    const Reply reply = service.ask(call, host);
    if (reply.status == 200) return;
    if (reply.status >= 500) service.refuse(reply, "the token cannot be checked");
    throw Error(Code::unauthorized,
                "remote " + remote.name + " does not accept this token: " +
                    (reply.status == 404 ? "Invalid Credentials" : status_text(reply.status)),
                "It may have expired. Make a new one at " + remote.url() + "/auth/tokens");
}

}  // namespace remotes
