// What credentials are kept for: a server, or a namespace or repository on it.
//
// Keys of Docker's config.json are "host", "host:port", "https://index.docker.io/v1/" and "https://HOST/v1/" (scheme
// and path do not count); Podman's auth.json has "host/namespace/repository" as well, where the longest match wins
// (containers-auth.json(5)).
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sg {

struct ServerKey {
    std::string host;               // lower case, with the port when one was given
    std::vector<std::string> path;  // "namespace", "repository"

    // As credentials are asked for: the path counts in every form, but for "v1" and "v2" behind a scheme.
    // Throws Code::invalid.
    static ServerKey of_server(std::string_view text);
    // As keys stand in files; nullopt for what is no key at all.
    static std::optional<ServerKey> of_key(std::string_view text);

    // How many parts of `wanted` this key covers, the host being one; 0: it is for something else.
    size_t covers(const ServerKey& wanted) const;
    // What helper programs are asked for: the host, and the Hub by its old address.
    std::string address() const;
    // The key that a file gets: the address, and the path behind it.
    std::string text() const;

    friend bool operator==(const ServerKey&, const ServerKey&) = default;
};

}  // namespace sg
