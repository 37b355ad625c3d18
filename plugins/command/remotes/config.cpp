#include "remotes/config.hpp"

#include <algorithm>
#include <singularity/error.hpp>
#include <singularity/json.hpp>

#include "remotes/url.hpp"

namespace remotes {

using singularity::Code;
using singularity::Error;
using singularity::json::printable;

namespace {

Error no_such(std::string_view name) {
    return Error(Code::not_found, printable(name) + " is not a remote", "See: singularity remote list");
}

}  // namespace

Remote* Config::find(std::string_view name) {
    const auto at = std::find_if(remotes.begin(), remotes.end(), [&](const Remote& r) { return r.name == name; });
    return at == remotes.end() ? nullptr : &*at;
}
const Remote* Config::find(std::string_view name) const { return const_cast<Config*>(this)->find(name); }

Remote& Config::need(std::string_view name) {
    if (Remote* r = find(name)) return *r;
    throw no_such(name);
}
const Remote& Config::need(std::string_view name) const { return const_cast<Config*>(this)->need(name); }

const Remote& Config::need_active() const {
    if (active.empty()) throw Error(Code::not_found, "no default remote", "Choose one: singularity remote use NAME");
    return need(active);
}

void Config::add(Remote remote) {
    if (find(remote.name))
        throw Error(Code::exists, printable(remote.name) + " is already a remote", "See: singularity remote list");
    const auto at = std::upper_bound(remotes.begin(), remotes.end(), remote,
                                     [](const Remote& a, const Remote& b) { return a.name < b.name; });
    remotes.insert(at, std::move(remote));
}

void Config::remove(const std::string& name, bool of_system) {
    const Remote& r = need(name);
    if (r.system && !of_system)
        throw Error(Code::permission, name + " is global and can't be removed",
                    "An administrator can: singularity remote remove --global " + name);
    if (active == name) active.clear();
    std::erase_if(remotes, [&](const Remote& x) { return x.name == name; });
}

void Config::use(const std::string& name, bool exclusive, bool of_system) {
    Remote& chosen = need(name);
    if (exclusive && !of_system)
        throw Error(Code::usage, "exclusive can't be set by user",
                    "An administrator can: singularity remote use --global --exclusive " + name);
    if (!of_system && name != active)
        for (const Remote& r : remotes)
            if (r.exclusive)
                throw Error(Code::permission, "could not use " + name + ": remote " + r.name +
                                                  " has been set exclusive by the system administrator");
    if (of_system)
        for (Remote& r : remotes)
            if (exclusive || r.name == name) r.exclusive = false;
    if (exclusive) chosen.exclusive = true;
    active = name;
}

void Config::merge_site(const Config& site) {
    for (const Remote& theirs : site.remotes) {
        Remote* mine = find(theirs.name);
        if (mine && !mine->system) continue;
        if (theirs.exclusive) active = theirs.name;
        if (!mine) {
            Remote copy = theirs;
            copy.token.clear();
            copy.system = true;
            add(std::move(copy));
            continue;
        }
        mine->uri = theirs.uri;
        mine->exclusive = theirs.exclusive;
        mine->insecure = theirs.insecure;
        mine->keyservers = theirs.keyservers;
    }
    if (active.empty()) active = site.active;
}

const Login* Config::login_of(const std::string& uri) const {
    const auto at = std::find_if(logins.begin(), logins.end(), [&](const Login& l) { return same_origin(l.uri, uri); });
    return at == logins.end() ? nullptr : &*at;
}

void Config::set_login(Login login) {
    remove_login(login.uri);
    logins.push_back(std::move(login));
}

bool Config::remove_login(const std::string& uri) {
    return std::erase_if(logins, [&](const Login& l) { return l.uri == uri || same_origin(l.uri, uri); }) > 0;
}

Config default_config() {
    Config c;
    c.active = default_remote;
    Remote r;
    r.name = default_remote;
    r.uri = default_remote_uri;
    r.system = true;
    c.remotes.push_back(std::move(r));
    return c;
}

namespace {

void list_own(Remote& remote, const std::string& own) {
    if (remote.keyservers.empty() && !own.empty()) remote.keyservers.push_back({own, false, false, remote.insecure});
}

}  // namespace

void add_keyserver(Remote& remote, const std::string& own, const std::string& uri, uint32_t order, bool insecure) {
    list_own(remote, own);
    auto& all = remote.keyservers;
    KeyServerEntry entry{uri, false, true, insecure};
    const auto known =
        std::find_if(all.begin(), all.end(), [&](const KeyServerEntry& k) { return same_origin(k.uri, uri); });
    if (known != all.end()) {
        if (known->external || !known->skip)
            throw Error(Code::exists, uri + " is already configured", "See: singularity keyserver list");
        entry = *known;
        entry.skip = false;
    }
    const auto most = static_cast<uint32_t>(
        1 + std::count_if(all.begin(), all.end(), [](const KeyServerEntry& k) { return !k.skip; }));
    if (order > most) throw Error(Code::usage, "order is out of range: maximum is " + std::to_string(most));
    if (known != all.end()) all.erase(known);
    // The place among those that are asked.
    auto at = all.begin();
    for (uint32_t seen = 0; at != all.end(); ++at)
        if (!at->skip && ++seen == order) break;
    all.insert(order == 0 ? all.end() : at, std::move(entry));
}

void remove_keyserver(Remote& remote, const std::string& own, const std::string& uri) {
    list_own(remote, own);
    auto& all = remote.keyservers;
    const auto at = std::find_if(all.begin(), all.end(),
                                 [&](const KeyServerEntry& k) { return !k.skip && same_origin(k.uri, uri); });
    if (at == all.end())
        throw Error(Code::not_found, "keyserver " + printable(uri) + " is not configured",
                    "See: singularity keyserver list");
    if (std::count_if(all.begin(), all.end(), [](const KeyServerEntry& k) { return !k.skip; }) == 1)
        throw Error(Code::invalid, "the primary keyserver " + uri + " can't be removed");
    if (at->external)
        all.erase(at);
    else
        at->skip = true;
}

}  // namespace remotes
