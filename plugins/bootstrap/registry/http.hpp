// One request over the transport that the host has for its URL.
#pragma once
#include <functional>
#include <memory>
#include <singularity/host.hpp>
#include <string>
#include <vector>

struct sg_transport_v1;
struct sg_response;

namespace registry {

using singularity::Code;
using singularity::Error;
using singularity::Host;
using singularity::Slice;
using singularity::Stream;

struct Header {
    std::string name, value;
    bool secret = false;  // dropped on a redirect to another host, and never logged
};

struct Request {
    std::string method = "GET";
    std::string url;
    std::vector<Header> headers;
    // Makes the body, anew for each try; empty: none.
    std::function<std::unique_ptr<Stream>()> body;
    uint64_t body_size = 0;
    uint64_t range_begin = 0;  // the object from this byte on
    bool verify_tls = true;
    uint32_t max_redirects = 10;
};

// An answer whose head has come. Moves; used by one thread at a time.
class Answer {
public:
    Answer(const sg_transport_v1* table, sg_response* raw) : table_(table), raw_(raw) {}
    Answer(Answer&& other) noexcept : table_(other.table_), raw_(std::exchange(other.raw_, nullptr)) {}
    Answer& operator=(Answer&& other) noexcept {
        std::swap(table_, other.table_);
        std::swap(raw_, other.raw_);
        return *this;
    }
    ~Answer();

    unsigned status() const;
    std::string header(const char* name) const;  // the first, or ""
    std::vector<std::string> headers(const char* name) const;
    std::string url() const;  // after redirects
    uint64_t size() const;    // of the body, or SG_SIZE_UNKNOWN
    std::unique_ptr<Stream> body();  // once; ends before the answer
    // All of the body; `what` names it when it is larger than `limit` (Code::limit).
    std::string text(uint64_t limit, const std::string& what);

private:
    const sg_transport_v1* table_;
    sg_response* raw_;
};

// Throws what the transport reports; any HTTP status is an answer. Code::unsupported when no transport serves the URL.
Answer send(const Request& request, const Host& host);

// Bytes in memory as a stream.
std::unique_ptr<Stream> stream_text(std::string bytes);

}  // namespace registry
