// singularity keyserver add|remove|list|login|logout
#include <algorithm>

#include "commands.hpp"
#include "logins.hpp"
#include "remotes/discovery.hpp"
#include "remotes/file.hpp"
#include "remotes/url.hpp"

namespace remote {

using remotes::Config;
using remotes::Line;
using remotes::Paths;
using remotes::Remote;
using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

constexpr uint32_t keyserver_ms = 5000;

std::string base64(std::string_view bytes) {
    static constexpr char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const auto at = [&](size_t k) {
            return i + k < bytes.size() ? static_cast<uint32_t>(static_cast<unsigned char>(bytes[i + k])) : 0u;
        };
        const uint32_t three = at(0) << 16 | at(1) << 8 | at(2);
        out += letters[three >> 18];
        out += letters[(three >> 12) & 63];
        out += i + 1 < bytes.size() ? letters[(three >> 6) & 63] : '=';
        out += i + 2 < bytes.size() ? letters[three & 63] : '=';
    }
    return out;
}

// The server that the remote itself has; "" when it cannot be found out.
std::string own_keyserver(const Remote& remote, const Host& host) {
    try {
        return remotes::service_uri(remote, "keyserver", host);
    } catch (const Error& e) {
        if (e.code() == Code::cancelled) throw;
        host.debug(e.message());
        return {};
    }
}

// A remote of the site is changed in the site's file, a user's own in the user's.
int change(const std::string& name, const Host& host,
           const std::function<void(Remote&, const std::string& own)>& work) {
    const Paths paths = Paths::find();
    const Config seen = remotes::read_user(paths);
    const Remote& chosen = name.empty() ? seen.need_active() : seen.need(name);
    // Without it the list would leave it out for good.
    const std::string own = chosen.keyservers.empty() ? remotes::service_uri(chosen, "keyserver", host) : "";
    const auto apply = [&](Config& config) { work(config.need(chosen.name), own); };
    if (!chosen.system) {
        remotes::edit_user(paths, apply);
        return 0;
    }
    try {
        remotes::edit_system(paths, apply);
    } catch (const Error& e) {
        if (e.code() != Code::permission) throw;
        throw Error(Code::permission, "remote " + chosen.name + " is the site's: " + e.message(),
                    "An administrator can, or add a remote of your own: singularity remote add");
    }
    return 0;
}

int add(const Line& line, const Host& host) {
    const auto& words = line.arguments(1, 2, "[REMOTE] URI");
    remotes::service_url(words.back());
    const uint64_t order = line.number("order").value_or(0);
    if (order > UINT32_MAX) throw Error(Code::usage, "order is out of range");
    return change(words.size() == 2 ? words.front() : "", host, [&](Remote& r, const std::string& own) {
        remotes::add_keyserver(r, own, words.back(), static_cast<uint32_t>(order), line.flag("insecure"));
    });
}

int remove(const Line& line, const Host& host) {
    const auto& words = line.arguments(1, 2, "[REMOTE] URI");
    return change(words.size() == 2 ? words.front() : "", host,
                  [&](Remote& r, const std::string& own) { remotes::remove_keyserver(r, own, words.back()); });
}

int list(const Line& line, const Host& host) {
    const auto& words = line.arguments(0, 1, "[REMOTE]");
    const Config config = remotes::read_user(Paths::find());
    if (!words.empty()) config.need(words.front());
    for (const Remote& r : config.remotes) {
        if (!words.empty() && r.name != words.front()) continue;
        remotes::print("\n" + r.name + " " + (r.system ? "*" : "") + (r.name == config.active ? "^" : "") + "\n");
        auto all = r.keyservers;
        if (all.empty())
            if (const std::string own = own_keyserver(r, host); !own.empty()) all.push_back({own, false, false, false});
        if (all.empty()) remotes::print("   (unable to fetch associated keyserver info for this endpoint)\n");
        std::vector<std::vector<std::string>> rows;
        for (const auto& k : all)
            if (!k.skip)
                rows.push_back(
                    {" ", "#" + std::to_string(rows.size() + 1), k.uri, k.insecure ? "" : "\xf0\x9f\x94\x92"});
        remotes::print(remotes::table(rows));
    }
    remotes::print("\n(* = system endpoint, ^ = default endpoint)\n");
    return 0;
}

// Whether the server is one of those that are asked, and whether its certificate is checked.
bool insecure_keyserver(const Config& config, const std::string& uri) {
    for (const Remote& r : config.remotes)
        for (const auto& k : r.keyservers)
            if (k.external && remotes::same_origin(k.uri, uri)) return k.insecure;
    throw Error(Code::not_found, "no external keyserver configuration found for " + uri,
                "First: singularity keyserver add " + uri);
}

}  // namespace

int login_keyserver(const Line& line, const std::string& uri, const Host& host) {
    const Paths paths = Paths::find();
    remotes::Login login{uri, "", insecure_keyserver(remotes::read_user(paths), uri) || line.flag("insecure")};
    const std::string url = remotes::service_url(uri), user = line.option("username");
    if (user.find(':') != std::string::npos) throw Error(Code::usage, "a user name holds no ':'");
    std::string password = line.option("password");
    if (!password.empty() && line.flag("password-stdin"))
        throw Error(Code::usage, "give either --password or --password-stdin");
    if (!password.empty()) host.warn(visible_password);
    if (line.flag("password-stdin"))
        password = remotes::line_of_input();
    else if (password.empty())
        password = remotes::ask_secret("Password / Token: ", host);
    if (password.empty()) throw Error(Code::usage, "a password is required");
    login.auth = user.empty() ? "Bearer " + password : "Basic " + base64(user + ":" + password);

    sg_request request = singularity::plain_request(url.c_str());
    const sg_header headers[] = {{"Authorization", login.auth.c_str(), 1}, {nullptr, nullptr, 0}};
    request.headers = headers;
    request.total_timeout_ms = keyserver_ms;
    request.tls.verify = login.insecure ? 0 : 1;
    const unsigned status = singularity::send(host, url.substr(0, url.find(':')).c_str(), request).status();
    if (status != 200)
        throw Error(status == 401 || status == 403 ? Code::unauthorized : Code::network,
                    "while login to " + uri + ": error response from server: " + remotes::status_text(status));
    host.info("Token stored in " + remotes::edit_user(paths, [&](Config& c) { c.set_login(login); }));
    return 0;
}

int logout_keyserver(const std::string& uri, const Host& host) {
    remotes::edit_user(Paths::find(), [&](Config& c) {
        if (!c.remove_login(uri))
            throw Error(Code::not_found, "no login is kept for " + uri, "See: singularity remote list");
    });
    host.info("Logout succeeded");
    return 0;
}

int KeyserverCommand::run(const singularity::Invocation& invocation, const Host& host) {
    const Line line(invocation);
    const std::string verb = line.verb();
    if (verb == "add") return add(line, host);
    if (verb == "remove") return remove(line, host);
    if (verb == "list") return list(line, host);
    if (verb == "login") return login_keyserver(line, line.arguments(1, 1, "URI").front(), host);
    if (verb == "logout") return logout_keyserver(line.arguments(1, 1, "URI").front(), host);
    throw Error(Code::usage, "'keyserver' has no command '" + verb + "'");
}

}  // namespace remote
