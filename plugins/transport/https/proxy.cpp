#include "https/proxy.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <singularity/error.hpp>
#include <singularity/text.hpp>

#include "https/resolver.hpp"

namespace https {

using singularity::Code;
using singularity::Error;

namespace {

struct Variable {
    const char* name = "";
    std::string value;
};

Variable first_of(std::initializer_list<const char*> names) {
    for (const char* name : names)
        if (const char* v = std::getenv(name); v && *v) return {name, v};
    return {};
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return out;
}

// An address as 16 bytes, IPv4 within IPv6.
bool address_bytes(const std::string& text, std::array<unsigned char, 16>& out, bool& four) {
    out = {};
    four = ::inet_pton(AF_INET, text.c_str(), out.data() + 12) == 1;
    if (four) {
        out[10] = out[11] = 0xff;
        return true;
    }
    return ::inet_pton(AF_INET6, text.c_str(), out.data()) == 1;
}

bool in_network(const std::string& network, const std::string& host) {
    const size_t slash = network.find('/');
    std::array<unsigned char, 16> base, address;
    bool four = false, ignored = false;
    uint64_t bits = 0;
    if (!address_bytes(network.substr(0, slash), base, four) || !address_bytes(host, address, ignored)) return false;
    for (const char c : network.substr(slash + 1)) {
        if (c < '0' || c > '9') return false;
        bits = bits * 10 + static_cast<uint64_t>(c - '0');
        if (bits > 128) return false;
    }
    if (network.size() == slash + 1 || (four && bits > 32)) return false;
    if (four) bits += 96;
    for (size_t i = 0; i < bits; ++i) {
        const auto bit = static_cast<unsigned char>(0x80 >> (i % 8));
        if ((base[i / 8] & bit) != (address[i / 8] & bit)) return false;
    }
    return true;
}

bool same_address(const std::string& a, const std::string& b) {
    std::array<unsigned char, 16> x, y;
    bool ignored = false;
    return address_bytes(a, x, ignored) && address_bytes(b, y, ignored) && x == y;
}

// "host:port", "[v6]:port", "[v6]", or what is no address with a port.
void split_port(std::string& item, uint64_t& port) {
    port = 0;
    std::string tail;
    if (!item.empty() && item[0] == '[') {
        const size_t close = item.find(']');
        if (close == std::string::npos) return;
        tail = item.substr(close + 1);
        item = item.substr(1, close - 1);
    } else if (std::count(item.begin(), item.end(), ':') == 1) {
        const size_t colon = item.find(':');
        tail = item.substr(colon);
        item.resize(colon);
    }
    for (size_t i = 1; i < tail.size() && port < 100000; ++i) port = tail[i] >= '0' && tail[i] <= '9' ? port * 10 + static_cast<uint64_t>(tail[i] - '0') : 100000;
}

}  // namespace

std::string Proxy::shown() const { return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(port); }

std::string basic_authorization(std::string_view userinfo) {
    const size_t colon = std::min(userinfo.find(':'), userinfo.size());
    std::string text = http::percent_decoded(userinfo.substr(0, colon)) + ":";
    if (colon < userinfo.size()) text += http::percent_decoded(userinfo.substr(colon + 1));
    return "Basic " + singularity::base64(text);
}

bool excluded_by(std::string_view no_proxy, const std::string& host, uint16_t port) {
    while (!no_proxy.empty()) {
        const size_t end = std::min(no_proxy.find_first_of(", \t"), no_proxy.size());
        std::string item = lower(no_proxy.substr(0, end));
        no_proxy.remove_prefix(std::min(end + 1, no_proxy.size()));
        if (item.empty()) continue;
        if (item == "*") return true;
        if (item.find('/') != std::string::npos) {
            if (in_network(item, host)) return true;
            continue;
        }
        uint64_t wanted = 0;
        split_port(item, wanted);
        if (wanted != 0 && wanted != port) continue;
        if (item.starts_with("*.")) item.erase(0, 1);
        if (item.empty()) continue;
        if (item == host || same_address(item, host)) return true;
        // "suffix.org" means the host of that name too, ".suffix.org" only what is below it.
        const std::string below = item[0] == '.' ? item : "." + item;
        Address literal;
        if (host.size() > below.size() && host.ends_with(below) && !parse_address(host, 1, literal)) return true;
    }
    return false;
}

std::optional<Proxy> proxy_for(const http::Url& url) {
    const bool cgi = std::getenv("REQUEST_METHOD") != nullptr;
    Variable v = url.scheme == "https" ? first_of({"HTTPS_PROXY", "https_proxy"}) : cgi ? first_of({"http_proxy"}) : first_of({"HTTP_PROXY", "http_proxy"});
    if (v.value.empty()) v = first_of({"ALL_PROXY", "all_proxy"});
    if (v.value.empty()) return std::nullopt;
    if (url.host == "localhost" || url.host.ends_with(".localhost")) return std::nullopt;
    if (Address a; parse_address(url.host, 1, a) && a.loopback()) return std::nullopt;
    if (excluded_by(first_of({"NO_PROXY", "no_proxy"}).value, url.host, url.port_or_default())) return std::nullopt;
    const std::string text = v.value.find("://") == std::string::npos ? "http://" + v.value : v.value;
    http::Url proxy;
    try {
        proxy = http::Url::parse(text);
    } catch (const Error&) {
        throw Error(Code::invalid, std::string(v.name) + " is no URL of a proxy: " + http::shown_url(text), "Its form is http://[USER:PASSWORD@]HOST:PORT.");
    }
    if (proxy.scheme != "http")
        throw Error(Code::unsupported, std::string(v.name) + " names a proxy of the kind " + proxy.scheme + ", and only http is supported",
                    "Its form is http://[USER:PASSWORD@]HOST:PORT.");
    Proxy out;
    out.host = proxy.host;
    out.port = proxy.port_or_default();
    if (!proxy.userinfo.empty()) out.authorization = basic_authorization(proxy.userinfo);
    return out;
}

}  // namespace https
