// A URL taken apart (RFC 3986). Path and query keep the spelling they came in: a signed URL is valid in that one only.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace http {

struct Url {
    std::string scheme;    // lower case
    std::string userinfo;  // as written, without '@'; may hold a password
    std::string host;      // lower case; an IPv6 address without brackets
    uint16_t port = 0;     // 0: none written
    std::string target;    // path and query as they are sent; begins with '/'

    // Parses an absolute URL with an authority. Blanks and bytes above 0x7e are percent-encoded; control characters,
    // a missing host and a bad port are Code::invalid. A fragment is dropped.
    static Url parse(std::string_view text);
    // The URL that a Location header names, seen from this one (RFC 3986, section 5.2). Throws as `parse`.
    Url resolve(std::string_view location) const;

    uint16_t port_or_default() const { return port != 0 ? port : scheme == "https" ? 443 : 80; }
    // "host", "host:port" or "[v6]:port": the port only when it is not the scheme's own.
    std::string authority() const;
    std::string text() const;  // without userinfo
    // For messages and logs: without userinfo, and with the values of the query left out that might be secret.
    std::string shown() const;
    bool same_origin(const Url& other) const {
        return scheme == other.scheme && host == other.host && port_or_default() == other.port_or_default();
    }
};

// `text` with a URL's user name, password and query values left out; for messages about URLs that cannot be parsed.
std::string shown_url(std::string_view text);
// %XX to bytes; what is no escape stays.
std::string percent_decoded(std::string_view text);

}  // namespace http
