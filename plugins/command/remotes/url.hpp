// Addresses of services.
#pragma once
#include <optional>
#include <string>

namespace remotes {

struct Origin {
    std::string scheme, host;  // lower case, the port (given or the scheme's) behind the host
    friend bool operator==(const Origin&, const Origin&) = default;
};

// Of an http, https, hkp, hkps or other URL; nullopt for what is none.
std::optional<Origin> origin_of(const std::string& url);
bool same_origin(const std::string& a, const std::string& b);

// "https://HOST[:PORT][/PATH]" without a slash at the end, from "HOST", "http://HOST/" and the like; hkp:// and hkps://
// become http (port 11371) and https. Throws Code::usage.
std::string service_url(const std::string& text);
// What remote.yaml calls URI: the same without its scheme.
std::string without_scheme(const std::string& url);
// localhost, 127.x.y.z or [::1].
bool is_loopback(const std::string& url);

}  // namespace remotes
