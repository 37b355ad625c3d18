#include "config/policy.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <functional>

namespace sg::policy {

namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

bool made_of(std::string_view text, std::string_view others) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               others.find(c) != std::string_view::npos;
    });
}

using Matches = std::function<bool(const std::string& rule)>;

std::optional<Ruling> decide(const Settings& settings, const std::string& subject, const Matches& matches) {
    const std::string deny = "policy." + subject + ".deny", allow = "policy." + subject + ".allow";
    const auto entry = [&](const std::string& key) -> std::optional<size_t> {
        const auto rules = settings.list(key);
        const auto found = std::find_if(rules.begin(), rules.end(), matches);
        return found == rules.end() ? std::nullopt : std::optional<size_t>(found - rules.begin());
    };
    if (const auto i = entry(deny))
        return Ruling{false, deny, settings.list(deny)[*i], settings.origin(deny, *i).where};
    if (settings.list(allow).empty()) return std::nullopt;
    if (const auto i = entry(allow))
        return Ruling{true, allow, settings.list(allow)[*i], settings.origin(allow, *i).where};
    return Ruling{false, allow, "", settings.origin(allow).where};
}

// "host:port" -> ("host", "port"); an IPv6 address stands in brackets.
std::pair<std::string_view, std::string_view> split_port(std::string_view server) {
    const size_t colon = server.rfind(':');
    if (colon == std::string_view::npos || server.find(']', colon) != std::string_view::npos) return {server, {}};
    return {server.substr(0, colon), server.substr(colon + 1)};
}

bool server_matches(std::string_view rule, std::string_view name) {
    const size_t slash = std::min(rule.find('/'), rule.size()), end = std::min(name.find('/'), name.size());
    const auto [wanted_host, wanted_port] = split_port(rule.substr(0, slash));
    const std::string server = lower(name.substr(0, end));
    const auto [host, port] = split_port(server);
    if (wanted_host.starts_with("*.") ? !host.ends_with(wanted_host.substr(1)) : host != wanted_host) return false;
    if (!wanted_port.empty() && port != wanted_port) return false;
    const std::string_view below = rule.substr(slash), path = name.substr(end);
    return path.starts_with(below) && (path.size() == below.size() || below.empty() || path[below.size()] == '/');
}

}  // namespace

std::optional<Ruling> on_source(const Settings& settings, std::string_view scheme) {
    return decide(settings, "sources", [&](const std::string& rule) { return rule == scheme; });
}

std::optional<Ruling> on_registry(const Settings& settings, std::string_view name) {
    // "user:password@" is no part of a host.
    if (const size_t at = name.substr(0, name.find('/')).rfind('@'); at != std::string_view::npos)
        name.remove_prefix(at + 1);
    return decide(settings, "registries", [&](const std::string& rule) { return server_matches(rule, name); });
}

std::optional<Ruling> on_path(const Settings& settings, const std::string& path) {
    return decide(settings, "paths", [&](const std::string& rule) {
        return rule == "/" || fnmatch(rule.c_str(), path.c_str(), FNM_PATHNAME | FNM_LEADING_DIR) == 0;
    });
}

std::optional<Ruling> on_signers(const Settings& settings, const std::vector<std::string>& fingerprints) {
    return decide(settings, "signers", [&](const std::string& rule) {
        return std::find(fingerprints.begin(), fingerprints.end(), rule) != fingerprints.end();
    });
}

bool has_rules_on(const Settings& settings, std::string_view subject) {
    const std::string key = "policy." + std::string(subject);
    return !settings.values(key + ".deny").empty() || !settings.values(key + ".allow").empty();
}

Error refusal(const std::string& what, const Ruling& ruling) {
    const std::string place = " (" + ruling.key + " in " + ruling.where + ")";
    constexpr char hint[] =
        "'singularity config show --origin policy' shows the rules; the administrator of this installation can change "
        "them.";
    if (!ruling.rule.empty()) return Error(Code::veto, "this site forbids " + what + place, hint);
    return Error(Code::veto, what + " is not among those that this site allows" + place, hint);
}

std::string canonical_rule(std::string_view subject, const std::string& rule) {
    const auto bad = [&](const char* form) { return Error(Code::invalid, "'" + rule + "' is no rule: " + form); };
    if (subject == "sources") {
        std::string scheme = lower(rule);
        if (scheme.ends_with("://")) scheme.resize(scheme.size() - 3);
        if (!made_of(scheme, "+-.")) throw bad("a source is named by its scheme, as docker");
        return scheme;
    }
    if (subject == "registries") {
        const size_t slash = std::min(rule.find('/'), rule.size());
        std::string server = lower(std::string_view(rule).substr(0, slash)), path = rule.substr(slash);
        while (path.ends_with('/')) path.pop_back();
        const std::string_view host = std::string_view(server).substr(server.starts_with("*.") ? 2 : 0);
        if (!made_of(host, ".-_:[]") || path.find("//") != std::string::npos)
            throw bad("the form is HOST[:PORT][/NAMESPACE], and '*.example.org' for all hosts below one");
        return server + path;
    }
    if (subject == "paths") {
        std::string path = rule;
        while (path.size() > 1 && path.ends_with('/')) path.pop_back();
        if (!path.starts_with('/') || path.find("//") != std::string::npos ||
            (path + "/").find("/../") != std::string::npos || (path + "/").find("/./") != std::string::npos)
            throw bad("a path is absolute, without '.' and '..'");
        return path;
    }
    std::string hex;
    for (const char c :
         rule.starts_with("0x") || rule.starts_with("0X") ? std::string_view(rule).substr(2) : std::string_view(rule))
        if (c != ' ' && c != ':') hex += c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
    if ((hex.size() != 40 && hex.size() != 64) || hex.find_first_not_of("0123456789ABCDEF") != std::string::npos)
        throw bad(
            "a signer is named by the whole fingerprint of the key, 40 hexadecimal digits ('singularity key list' "
            "shows it)");
    return hex;
}

}  // namespace sg::policy
