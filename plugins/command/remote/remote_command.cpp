// singularity remote add|login|logout|list|use|remove|status|get-login-password
#include <algorithm>

#include "commands.hpp"
#include "logins.hpp"
#include "registries/login.hpp"
#include "remotes/active.hpp"
#include "remotes/discovery.hpp"
#include "remotes/file.hpp"
#include "remotes/url.hpp"

namespace remote {

namespace json = singularity::json;
using remotes::Config;
using remotes::Line;
using remotes::Paths;
using remotes::Remote;
using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

constexpr uint64_t token_file_limit = 64 << 10;
constexpr uint32_t status_ms = 10000;

std::string edit(bool global, const std::function<void(Config&)>& change) {
    const Paths paths = Paths::find();
    return global ? remotes::edit_system(paths, change) : remotes::edit_user(paths, change);
}

std::string token_of_file(const std::string& path) {
    std::string text = remotes::read_small_file(path, token_file_limit);
    text.resize(std::min(text.find_first_of("\r\n"), text.size()));
    if (text.empty()) throw Error(Code::invalid, "there is no token in the first line of " + path);
    return text;
}

// A token that the remote accepts.
std::string new_token(const Remote& remote, const Line& line, const Host& host) {
    std::string token;
    if (const std::string file = line.option("tokenfile"); !file.empty()) {
        token = token_of_file(line.file(file));
    } else if (line.flag("password-stdin")) {
        token = remotes::line_of_input();
    } else if (token = line.option("password"); !token.empty()) {
        host.warn(visible_password);
    } else {
        remotes::print("Generate an access token at " + remotes::token_page(remote) +
                       ", and paste it here.\nToken entered will be hidden for security.\n");
        token = remotes::ask_secret("Access Token: ", host);
    }
    token.erase(0, std::min(token.find_first_not_of(" \t"), token.size()));
    while (!token.empty() && (token.back() == ' ' || token.back() == '\t')) token.pop_back();
    if (token.empty()) throw Error(Code::invalid, "no token was given: nothing is changed");
    if (!std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; }))
        throw Error(Code::invalid, "the token holds blanks or control characters: nothing is changed");
    remotes::verify_token(remote, token, host);
    host.info("Access Token Verified!");
    return token;
}

int add(const Line& line, const Host& host) {
    const auto& words = line.arguments(2, 2, "NAME URI");
    const std::string& name = words[0];
    if (name.find_first_not_of(" \t") == std::string::npos)
        throw Error(Code::usage, "invalid name: cannot have empty name");
    if (name.find("://") != std::string::npos || name.find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos)
        throw Error(Code::usage, "'" + json::printable(name) + "' is no name for a remote");
    const bool global = line.flag("global");
    const std::string url = remotes::service_url(words[1]);
    bool insecure = line.flag("insecure");
    if (words[1].starts_with("http://") && !insecure)
        throw Error(Code::usage, "an http address sends tokens without encryption",
                    "Add --insecure if that is as it should be.");
    if (words[1].starts_with("https://") && insecure) {
        host.info("--insecure ignored for https remote");
        insecure = false;
    }
    Remote added;
    added.name = name;
    added.uri = remotes::without_scheme(url);
    added.system = global;
    added.insecure = insecure;
    edit(global, [&](Config& c) {
        c.add(added);
        if (!line.flag("no-default") && (!global || c.active.empty())) c.use(name, false, global);
    });
    host.info("Remote \"" + name + "\" added.");
    if (line.flag("no-login")) return 0;
    if (global) {
        host.info("Global option detected. Will not automatically log into remote.");
        return 0;
    }
    host.info("Authenticating with remote: " + name);
    const std::string token = new_token(added, line, host);
    host.info("Token stored in " + edit(false, [&](Config& c) { c.need(name).token = token; }));
    return 0;
}

bool is_keyserver(const std::string& name) {
    return name.starts_with("http://") || name.starts_with("https://") || name.starts_with("hkp://") ||
           name.starts_with("hkps://");
}

// "docker://HOST" and "oras://HOST", as Singularity 3.7 to 3.11 have it.
bool is_registry(const std::string& name) { return name.starts_with("docker://") || name.starts_with("oras://"); }

Error no_service_of_that_kind(const std::string& name) {
    return Error(Code::usage, "'" + json::printable(name) + "' is neither a remote nor a registry nor a key server",
                 "See: singularity remote list");
}

int login(const singularity::Invocation& invocation, const Host& host) {
    const Line line(invocation);
    const auto& words = line.arguments(0, 1, "[NAME]");
    const std::string name = words.empty() ? "" : words.front();
    const Config config = remotes::read_user(Paths::find());
    if (!config.find(name) && is_keyserver(name)) {
        if (!line.option("tokenfile").empty()) throw Error(Code::usage, "--tokenfile is for remotes only");
        return login_keyserver(line, name, host);
    }
    if (!config.find(name) && is_registry(name)) {
        if (!line.option("tokenfile").empty()) throw Error(Code::usage, "--tokenfile is for remotes only");
        return registry_command::login(invocation, registry_command::parse_address(name), host);
    }
    if (!config.find(name) && name.find("://") != std::string::npos) throw no_service_of_that_kind(name);
    const Remote& remote = name.empty() ? config.need_active() : config.need(name);
    const bool asks =
        line.option("tokenfile").empty() && line.option("password").empty() && !line.flag("password-stdin");
    if (!remote.token.empty() && asks &&
        !remotes::ask_yes("An access token is already set for this remote. Replace it? [N/y] "))
        return 0;
    const std::string token = new_token(remote, line, host);
    host.info("Token stored in " + edit(false, [&](Config& c) { c.need(remote.name).token = token; }));
    return 0;
}

int logout(const singularity::Invocation& invocation, const Host& host) {
    const Line line(invocation);
    const auto& words = line.arguments(0, 1, "[NAME]");
    const std::string name = words.empty() ? "" : words.front();
    const Paths paths = Paths::find();
    const Config config = remotes::read_user(paths);
    if (!config.find(name) && is_keyserver(name)) return logout_keyserver(name, host);
    if (!config.find(name) && is_registry(name))
        return registry_command::logout(invocation, registry_command::parse_address(name), host);
    if (!config.find(name) && name.find("://") != std::string::npos) throw no_service_of_that_kind(name);
    const Remote& remote = name.empty() ? config.need_active() : config.need(name);
    remotes::edit_user(paths, [&](Config& c) { c.need(remote.name).token.clear(); });
    host.info("Logout succeeded");
    return 0;
}

int list(const Line& line) {
    line.arguments(0, 0, "");
    const Config config = remotes::read_user(Paths::find());
    const auto mark = [](bool yes) { return std::string(yes ? "\xe2\x9c\x93" : ""); };
    std::vector<std::vector<std::string>> rows{{"NAME", "URI", "DEFAULT?", "GLOBAL?", "EXCLUSIVE?", "SECURE?"}};
    for (const Remote& r : config.remotes)
        rows.push_back({json::printable(r.name), json::printable(r.uri), mark(r.name == config.active), mark(r.system),
                        mark(r.exclusive), r.insecure ? "\xe2\x9c\x97!" : mark(true)});
    remotes::print("\n" + remotes::table(rows));
    if (config.logins.empty()) return 0;
    rows = {{"URI", "SECURE?"}};
    for (const auto& l : config.logins)
        rows.push_back({json::printable(l.uri), l.insecure ? "\xe2\x9c\x97!" : mark(true)});
    remotes::print("\nAuthenticated Logins\n\n" + remotes::table(rows));
    return 0;
}

int use(const Line& line, const Host& host) {
    const std::string name = line.arguments(1, 1, "NAME").front();
    const bool global = line.flag("global"), exclusive = line.flag("exclusive");
    if (exclusive && !global)
        throw Error(Code::usage, "exclusive can't be set by user",
                    "An administrator can: singularity remote use --global --exclusive " + name);
    edit(global, [&](Config& c) { c.use(name, exclusive, global); });
    host.info("Remote \"" + name + "\" now in use.");
    return 0;
}

int remove(const Line& line, const Host& host) {
    const std::string name = line.arguments(1, 1, "NAME").front();
    const bool global = line.flag("global");
    edit(global, [&](Config& c) { c.remove(name, global); });
    host.info("Remote \"" + name + "\" removed.");
    return 0;
}

// "OK" with the version, or "N/A" and why in the verbose log.
std::vector<std::string> status_row(const std::string& name, const std::string& uri, const Host& host) {
    std::string shown = name, version, status = "N/A";
    if (!shown.empty() && shown[0] >= 'a' && shown[0] <= 'z') shown[0] = static_cast<char>(shown[0] - 'a' + 'A');
    try {
        remotes::Call call;
        call.path = "version";
        call.timeout_ms = status_ms;
        const remotes::Service service(name, uri, "");
        if (const auto data = service.data(call, host)) {
            const json::Document document(*data, "the version of " + uri);
            version = json::printable(document.root()["version"].text_or(), 40);
            status = "OK";
        }
    } catch (const Error& e) {
        if (e.code() == Code::cancelled) throw;
        host.log(SG_VERBOSE, e.message());
    }
    return {shown, status, version, uri};
}

int status(const Line& line, const Host& host) {
    const auto& words = line.arguments(0, 1, "[NAME]");
    const Config config = remotes::read_user(Paths::find());
    const Remote& remote = words.empty() ? config.need_active() : config.need(words.front());
    host.info(words.empty() ? "Checking status of default remote." : "Checking status of remote: " + remote.name);
    std::vector<std::vector<std::string>> rows{{"SERVICE", "STATUS", "VERSION", "URI"}};
    for (const auto& [name, uri] : remotes::services_of(remote, host))
        rows.push_back(status_row(json::printable(name, 40), uri, host));
    remotes::print(remotes::table(rows));
    if (remote.token.empty()) {
        remotes::print("\nNo authentication token set (logged out).\n");
        return 0;
    }
    try {
        remotes::verify_token(remote, remote.token, host);
    } catch (const Error& e) {
        if (e.code() == Code::unauthorized) remotes::print("\nAuthentication token is invalid (please login again).\n");
        throw;
    }
    remotes::print("\nValid authentication token set (logged in).\n");
    return 0;
}

// The secret that opens the registry of the library, for `docker login --password-stdin` and the like.
int get_login_password(const Line& line, const Host& host) {
    line.arguments(0, 0, "");
    const Config config = remotes::read_user(Paths::find());
    const Remote& remote = config.need_active();
    const remotes::Service library("library", remotes::service_uri(remote, "library", host), remote.token);
    if (remote.token.empty())
        throw Error(Code::unauthorized, "nobody is logged in to remote " + remote.name,
                    "First: singularity remote login");
    remotes::Call call;
    call.path = "v1/rbac/users/current";
    const remotes::Reply reply = library.ask(call, host);
    if (reply.status == 404)
        throw Error(Code::unsupported,
                    "the library at " + library.base() + " has no registry with passwords of its own");
    if (reply.status != 200) library.refuse(reply, "cannot get a password");
    const json::Document document(reply.text, "the answer of " + library.base());
    const std::string secret = document.root()["oidc_user_meta"]["secret"].text_or();
    if (secret.empty())
        throw Error(Code::not_found, "the library at " + library.base() + " tells no password for its registry");
    remotes::print(secret + "\n");
    return 0;
}

}  // namespace

int RemoteCommand::run(const singularity::Invocation& invocation, const Host& host) {
    const Line line(invocation);
    const std::string verb = line.verb();
    if (verb == "add") return add(line, host);
    if (verb == "login") return login(invocation, host);
    if (verb == "logout") return logout(invocation, host);
    if (verb == "list") return list(line);
    if (verb == "use") return use(line, host);
    if (verb == "remove") return remove(line, host);
    if (verb == "status") return status(line, host);
    if (verb == "get-login-password") return get_login_password(line, host);
    throw Error(Code::usage, "'remote' has no command '" + verb + "'");
}

}  // namespace remote
