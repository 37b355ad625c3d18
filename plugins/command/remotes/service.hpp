// Requests to one service: base address, token, and the JSON envelope that all services share
// (github.com/sylabs/json-resp).
//
// Any thread.
#pragma once
#include <functional>
#include <initializer_list>
#include <memory>
#include <singularity/json.hpp>
#include <singularity/transport.hpp>
#include <utility>
#include <vector>

namespace remotes {

using singularity::Code;
using singularity::Error;
using singularity::Host;

inline constexpr uint64_t max_answer = 8 << 20;  // bytes of an answer that is JSON

struct Call {
    std::string method = "GET";
    std::string path;  // below the base, no leading slash; or a whole URL
    std::string json;  // body; "" = none
    std::vector<std::pair<std::string, std::string>> headers;
    uint32_t timeout_ms = 0;  // of the whole; 0 = the configured ones
    uint32_t max_redirects = 10;
    bool with_token = true;
    // A body that is no JSON; then its size and Content-Type count.
    std::function<std::unique_ptr<singularity::Stream>()> body;
    uint64_t body_size = 0;
    std::string content_type = "application/octet-stream";
    uint64_t range_begin = 0, range_end = SG_SIZE_UNKNOWN;
};

struct Reply {
    unsigned status = 0;
    std::string text;
};

class Service {
public:
    // `name` as "library" for messages; `base` without a slash at the end; `token` may be "".
    Service(std::string name, std::string base, std::string token, bool verify_tls = true);
    const std::string& name() const { return name_; }
    const std::string& base() const { return base_; }
    const std::string& token() const { return token_; }

    // The answer's head; any status. The token goes to the service's own origin alone, and to no other on a redirect.
    singularity::ForeignResponse send(const Call& call, const Host& host) const;
    // All of it.
    Reply ask(const Call& call, const Host& host) const;
    // What the answer has in "data"; nullopt for status 404. Other failures are thrown as `refuse` does.
    std::optional<std::string> data(const Call& call, const Host& host) const;
    // Throws what an answer that is a failure says: unauthorized (401), permission (403), not_found (404), limit (413),
    // ... `what` begins the message: "cannot push lolcow.sif".
    [[noreturn]] void refuse(const Reply& reply, const std::string& what) const;

private:
    std::string name_, base_, token_;
    bool verify_tls_;
};

// The text of "error" in an envelope, or what else a person can read in a failure's body; "" = nothing.
std::string error_text(const std::string& body);
// "404 (Not Found)".
std::string status_text(unsigned status);

}  // namespace remotes
