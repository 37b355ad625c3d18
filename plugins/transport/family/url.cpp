#include "family/url.hpp"

#include <algorithm>
#include <array>
#include <singularity/error.hpp>

namespace http {

using singularity::Code;
using singularity::Error;

namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_scheme(std::string_view text) {
    if (text.empty() || !((text[0] | 0x20) >= 'a' && (text[0] | 0x20) <= 'z')) return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
    });
}

// What may stand in a request line: no blank, no control character, nothing that is not ASCII.
std::string encoded(std::string_view text, std::string_view whole) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto u = static_cast<unsigned char>(c);
        if (u < 0x20 || u == 0x7f)
            throw Error(Code::invalid, "the URL " + shown_url(whole) + " holds a control character");
        if (u == ' ' || u > 0x7e || u == '"' || u == '<' || u == '>')
            out += {'%', digits[u >> 4], digits[u & 15]};
        else
            out += c;
    }
    return out;
}

// The values of these are names and numbers of the protocols that we speak.
bool is_public(std::string_view name) {
    static constexpr std::array<std::string_view, 12> names{"service", "scope", "digest", "mount", "from",  "n",
                                                            "last",    "tag",   "arch",   "names", "platform", "q"};
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::string shown_query(std::string_view query) {
    std::string out;
    while (!query.empty()) {
        const size_t end = std::min(query.find('&'), query.size());
        const std::string_view item = query.substr(0, end);
        const size_t equal = item.find('=');
        if (!out.empty()) out += '&';
        if (equal == std::string_view::npos || is_public(item.substr(0, equal)))
            out += item;
        else
            out.append(item.substr(0, equal + 1)).append("...");
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    return out;
}

// RFC 3986, section 5.2.4.
std::string without_dots(std::string_view path) {
    std::string out;
    while (!path.empty()) {
        size_t end = std::min(path.find('/', 1), path.size());
        const std::string_view part = path.substr(0, end);
        const bool last = end == path.size();
        if (part == "/.") {
            if (last) out += '/';
        } else if (part == "/..") {
            out.erase(std::min(out.rfind('/'), out.size()));
            if (last) out += '/';
        } else {
            out += part;
        }
        path.remove_prefix(end);
    }
    return out.empty() ? "/" : out;
}

}  // namespace

std::string shown_url(std::string_view text) {
    std::string out(text.substr(0, 1000));
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    const size_t from = out.find("//");
    if (from != std::string::npos) {
        const size_t end = std::min(out.find_first_of("/?#", from + 2), out.size());
        const size_t at = out.rfind('@', end);
        if (at != std::string::npos && at > from && at < end) out.erase(from + 2, at + 1 - (from + 2));
    }
    const size_t query = out.find('?');
    if (query != std::string::npos) out = out.substr(0, query + 1) + shown_query(std::string_view(out).substr(query + 1));
    return out;
}

std::string percent_decoded(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        if (low < 0) {
            out += text[i];
        } else {
            out += static_cast<char>(high * 16 + low);
            i += 2;
        }
    }
    return out;
}

Url Url::parse(std::string_view text) {
    const auto bad = [&](const std::string& why) {
        return Error(Code::invalid, "the URL " + shown_url(text) + " " + why);
    };
    const size_t colon = text.find("://");
    if (colon == std::string_view::npos || !is_scheme(text.substr(0, colon)))
        throw bad("is not of the form https://HOST/PATH");
    Url url;
    url.scheme = lower(text.substr(0, colon));
    std::string_view rest = text.substr(colon + 3);
    rest = rest.substr(0, rest.find('#'));
    const size_t end = std::min(rest.find_first_of("/?"), rest.size());
    std::string_view authority = rest.substr(0, end);
    rest.remove_prefix(end);
    if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
        url.userinfo = authority.substr(0, at);
        authority.remove_prefix(at + 1);
    }
    std::string_view port;
    if (!authority.empty() && authority[0] == '[') {
        const size_t close = authority.find(']');
        if (close == std::string_view::npos) throw bad("has an address without its closing bracket");
        url.host = lower(authority.substr(1, close - 1));
        port = authority.substr(close + 1);
    } else {
        const size_t sign = std::min(authority.find(':'), authority.size());
        url.host = lower(authority.substr(0, sign));
        port = authority.substr(sign);
    }
    if (url.host.empty()) throw bad("names no host");
    for (const char c : url.host)
        if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f || std::string_view("\"<>\\^`{|}").find(c) != std::string_view::npos)
            throw bad("has a host name with a character that none has");
    if (!port.empty()) {
        if (port[0] != ':') throw bad("has something between its host and its path");
        port.remove_prefix(1);
        uint32_t number = 0;
        for (const char c : port) {
            if (c < '0' || c > '9' || (number = number * 10 + static_cast<uint32_t>(c - '0')) > 65535)
                throw bad("has a bad port");
        }
        if (!port.empty() && number == 0) throw bad("has a bad port");
        url.port = static_cast<uint16_t>(number);
    }
    url.target = encoded(rest, text);
    if (url.target.empty() || url.target[0] != '/') url.target.insert(0, "/");
    return url;
}

Url Url::resolve(std::string_view location) const {
    while (!location.empty() && (location.front() == ' ' || location.front() == '\t')) location.remove_prefix(1);
    while (!location.empty() && (location.back() == ' ' || location.back() == '\t')) location.remove_suffix(1);
    const size_t colon = location.find_first_of(":/?#");
    if (colon != std::string_view::npos && location[colon] == ':' && is_scheme(location.substr(0, colon))) {
        if (location.substr(colon, 3) != "://") {
            // "file:/etc/passwd" has no authority: a scheme of its own is all that is asked about it.
            Url other;
            other.scheme = lower(location.substr(0, colon));
            return other;
        }
        if (lower(location.substr(0, colon)) == "file") {
            Url other;
            other.scheme = "file";
            return other;
        }
        return parse(location);
    }
    if (location.substr(0, 2) == "//") return parse(scheme + ":" + std::string(location));
    location = location.substr(0, location.find('#'));
    Url out = *this;
    const std::string next = encoded(location, location);
    const size_t query_at = std::min(target.find('?'), target.size());
    if (next.empty()) return out;
    if (next[0] == '?') {
        out.target = target.substr(0, query_at) + next;
        return out;
    }
    const size_t next_query = std::min(next.find('?'), next.size());
    std::string path = next.substr(0, next_query);
    if (path[0] != '/') path = target.substr(0, target.rfind('/', query_at == 0 ? 0 : query_at - 1) + 1) + path;
    out.target = without_dots(path) + next.substr(next_query);
    return out;
}

std::string Url::authority() const {
    std::string out = host.find(':') == std::string::npos ? host : "[" + host + "]";
    const uint16_t usual = scheme == "https" ? 443 : 80;
    if (port != 0 && port != usual) out += ":" + std::to_string(port);
    return out;
}

std::string Url::text() const { return scheme + "://" + authority() + target; }

std::string Url::shown() const { return shown_url(text()); }

}  // namespace http
