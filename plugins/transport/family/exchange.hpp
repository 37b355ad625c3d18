// One request and its answer over a connection of the pool or a new one.
#pragma once
#include <functional>
#include <memory>
#include <singularity/transport.hpp>
#include <string>

#include "family/body.hpp"
#include "family/connection.hpp"
#include "family/pool.hpp"

namespace http {

// A request without its way. The body may be null.
struct Outgoing {
    std::string method, target;
    Fields fields;  // without Content-Length and Transfer-Encoding
    singularity::Stream* body = nullptr;
    uint64_t body_size = SG_SIZE_UNKNOWN;
};

struct Incoming {
    std::unique_ptr<Connection> connection;
    ResponseHead head;
    Framing framing;
    bool keep = false;  // the connection may carry another request afterwards
};

using OpenConnection = std::function<std::unique_ptr<Connection>(Wait&)>;

// Sends and reads the answer's head. On a kept connection that the server has closed meanwhile it tries another one.
Incoming exchange(Pool& pool, const std::string& key, const OpenConnection& open, Outgoing& request, Wait& wait);

// What a request's headers and range say, but the fields that the transport sets itself; checked. Names in `out`
// that the caller marked secret are added to `secrets`.
void add_request_fields(const sg_request& request, Fields& out, std::vector<std::string>& secrets);
// Is an answer 206 what was asked for? Throws Code::corrupt when its Content-Range is another one.
void check_range(const sg_request& request, const ResponseHead& head);
std::string user_agent();  // "singularity/VERSION"
// "GET URL", or with the range; for the log.
std::string shown_request(const sg_request& request, const std::string& url);

// The answer as the host sees it.
class Answer final : public singularity::Response {
public:
    // `key` is the connection's in the pool.
    Answer(Incoming incoming, std::string url, std::string method, const std::string& key, const Wait& wait);
    ~Answer() override;
    unsigned status() const override { return head_.status; }
    const char* header(const char* name, uint64_t i) const override;
    const char* url() const override { return url_.c_str(); }
    uint64_t size() const override { return size_; }
    std::unique_ptr<singularity::Stream> body() override;

private:
    ResponseHead head_;
    std::string url_;
    uint64_t size_ = SG_SIZE_UNKNOWN;
    std::unique_ptr<Body> body_;
};

}  // namespace http
