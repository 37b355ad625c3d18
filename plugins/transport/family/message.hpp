// The heads of HTTP/1.1 messages (RFC 9112), written and read (docs/adr/0006: why not by a library).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace http {

using Fields = std::vector<std::pair<std::string, std::string>>;

// Bytes of a head: more is refused before it is read.
constexpr size_t largest_head = 256 << 10;

// Names are compared without case.
bool same_name(std::string_view a, std::string_view b);
// The `i`-th value of that name, or null.
const std::string* find_field(const Fields& fields, std::string_view name, uint64_t i = 0);

// The bytes of a request's head. Code::invalid when method, target or a field could be read as something else
// (control characters, line ends).
std::string request_head(const std::string& method, const std::string& target, const Fields& fields);

// How the end of a body is known (RFC 9112, section 6.3).
struct Framing {
    enum class Kind { none, length, chunked, until_close } kind = Kind::none;
    uint64_t length = 0;
};

struct ResponseHead {
    unsigned status = 0;
    std::string reason;
    Fields fields;
    bool keep_alive = false;

    // `head` is everything up to and with the empty line. Throws Code::network for what is no HTTP/1.
    static ResponseHead parse(const std::string& head);
    // Throws Code::network when the fields contradict each other, Code::unsupported for an unknown coding.
    Framing framing(std::string_view method) const;
};

// The number of a field made of digits only; false when it is none or does not fit.
bool parse_number(std::string_view text, uint64_t& out);

}  // namespace http
