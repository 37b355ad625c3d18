// One request of the schemes http and https, from the URL to the final answer: redirects, proxies, TLS.
#pragma once
#include <memory>
#include <singularity/transport.hpp>
#include <string>

#include "family/exchange.hpp"

namespace https {

// Follows up to request.max_redirects redirects. Secret fields and the client's certificate do not leave the first scheme,
// host and port. Refused are: from https to http (unless certificates are not to be verified), other schemes, link-local
// addresses (unless the key https.link_local allows them).
std::unique_ptr<singularity::Response> send(const sg_request& request, const singularity::Host& host);

// The two-way stream after 101, for `protocol` ("websocket").
class Upgraded {
public:
    Upgraded(const sg_request& request, const std::string& protocol, const singularity::Host& host);
    // At least one byte; 0 at the end.
    size_t read(char* to, size_t size);
    void write(std::string_view bytes);

private:
    http::Wait wait_;
    std::unique_ptr<http::Connection> connection_;
};

}  // namespace https
