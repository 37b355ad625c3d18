#include "credentials/server_key.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace sg {

namespace {

constexpr std::string_view hub_host = "index.docker.io";
constexpr std::string_view hub_address = "https://index.docker.io/v1/";

// The names that the Hub goes by.
bool is_hub(std::string_view host) { return host == "docker.io" || host == hub_host || host == "registry-1.docker.io"; }

struct Split {
    ServerKey key;
    bool had_scheme = false;
};

Split split(std::string_view text) {
    Split out;
    for (const std::string_view scheme : {"https://", "http://"})
        if (text.starts_with(scheme)) {
            text.remove_prefix(scheme.size());
            out.had_scheme = true;
        }
    const bool closed = text.ends_with('/');
    std::vector<std::string> parts;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find('/', at), text.size());
        if (end > at) parts.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
    if (parts.empty() || text.starts_with('/')) return out;
    for (char& c : parts.front())
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    out.key.host = is_hub(parts.front()) ? std::string(hub_host) : parts.front();
    out.key.path.assign(parts.begin() + 1, parts.end());
    // "https://HOST/v1/": the version of the interface, no namespace.
    auto& path = out.key.path;
    if (!path.empty() && (path.front() == "v1" || path.front() == "v2") && (out.had_scheme || (closed && path.size() == 1)))
        path.erase(path.begin());
    return out;
}

bool has_odd_characters(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; });
}

}  // namespace

ServerKey ServerKey::of_server(std::string_view text) {
    ServerKey key = split(text).key;
    if (key.host.empty() || has_odd_characters(text)) throw Error(Code::invalid, "there is no server named '" + std::string(text) + "'");
    return key;
}

std::optional<ServerKey> ServerKey::of_key(std::string_view text) {
    Split s = split(text);
    if (s.key.host.empty() || has_odd_characters(text)) return std::nullopt;
    if (s.had_scheme) s.key.path.clear();
    return std::move(s.key);
}

size_t ServerKey::covers(const ServerKey& wanted) const {
    if (host != wanted.host || path.size() > wanted.path.size()) return 0;
    return std::equal(path.begin(), path.end(), wanted.path.begin()) ? 1 + path.size() : 0;
}

std::string ServerKey::address() const { return host == hub_host ? std::string(hub_address) : host; }

std::string ServerKey::text() const {
    if (path.empty()) return address();
    std::string out = host == hub_host ? "docker.io" : host;
    for (const auto& p : path) out += "/" + p;
    return out;
}

}  // namespace sg
