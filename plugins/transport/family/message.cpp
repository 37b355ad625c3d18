#include "family/message.hpp"

#include <Poco/Exception.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>

#include <algorithm>
#include <optional>
#include <singularity/error.hpp>
#include <sstream>

namespace http {

using singularity::Code;
using singularity::Error;

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
               std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    });
}

bool is_value(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        const auto u = static_cast<unsigned char>(c);
        return (u >= 0x20 || u == '\t') && u != 0x7f;
    });
}

// Is `wanted` one of the comma-separated words?
bool has_word(const Fields& fields, std::string_view name, std::string_view wanted) {
    for (uint64_t i = 0; const std::string* value = find_field(fields, name, i); ++i) {
        std::string_view rest = *value;
        while (!rest.empty()) {
            const size_t comma = std::min(rest.find(','), rest.size());
            std::string_view word = rest.substr(0, comma);
            while (!word.empty() && (word.front() == ' ' || word.front() == '\t')) word.remove_prefix(1);
            while (!word.empty() && (word.back() == ' ' || word.back() == '\t')) word.remove_suffix(1);
            if (same_name(word, wanted)) return true;
            rest.remove_prefix(std::min(comma + 1, rest.size()));
        }
    }
    return false;
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

const std::string* find_field(const Fields& fields, std::string_view name, uint64_t i) {
    for (const auto& [key, value] : fields)
        if (same_name(key, name) && i-- == 0) return &value;
    return nullptr;
}

bool parse_number(std::string_view text, uint64_t& out) {
    if (text.empty() || text.size() > 18) return false;
    out = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return false;
        out = out * 10 + static_cast<uint64_t>(c - '0');
    }
    return true;
}

std::string request_head(const std::string& method, const std::string& target, const Fields& fields) {
    if (!is_token(method)) throw Error(Code::invalid, "a request's method has a character that none may have");
    if (target.empty() || target.find(' ') != std::string::npos || !is_value(target))
        throw Error(Code::invalid, "a request's target has a character that none may have");
    Poco::Net::HTTPRequest request(method, target, Poco::Net::HTTPMessage::HTTP_1_1);
    for (const auto& [name, value] : fields) {
        // The value stays out of the message: it may be a secret.
        if (!is_token(name) || !is_value(value))
            throw Error(Code::invalid, "the header field " + (is_token(name) ? name : "of a request") + " has a character that none may have");
        request.add(name, value);
    }
    std::ostringstream out;
    request.write(out);
    return out.str();
}

namespace {

// Read here: Poco keeps it as an enumeration, which holds only the numbers that it knows.
unsigned status_of(const std::string& bytes) {
    const size_t blank = bytes.find(' ');
    unsigned status = 0;
    size_t digits = 0;
    if (blank == std::string::npos) return 0;
    for (size_t i = blank + 1; i < bytes.size() && bytes[i] >= '0' && bytes[i] <= '9' && digits < 4; ++i, ++digits)
        status = status * 10 + static_cast<unsigned>(bytes[i] - '0');
    return digits == 3 ? status : 0;
}

}  // namespace

ResponseHead ResponseHead::parse(const std::string& bytes) {
    const auto bad = [](const std::string& why) {
        return Error(Code::network, "the server's answer is no HTTP: " + why);
    };
    if (bytes.compare(0, 7, "HTTP/1.") != 0) throw bad("it does not begin with HTTP/1");
    if (bytes.find('\0') != std::string::npos) throw bad("its head holds a NUL byte");
    ResponseHead head;
    std::optional<std::string> version;
    try {
        Poco::Net::HTTPResponse response;
        response.setFieldLimit(0);  // the size of the whole is limited
        std::istringstream in(bytes);
        response.read(in);
        head.status = status_of(bytes);
        head.reason = response.getReason();
        version = response.getVersion();
        for (const auto& [name, value] : response) head.fields.emplace_back(name, value);
    } catch (const Poco::Exception& e) {
        throw bad(e.message().empty() ? e.name() : e.message());
    }
    if (head.status < 100 || head.status > 999) throw bad("its status is no number of three digits");
    head.keep_alive = *version == Poco::Net::HTTPMessage::HTTP_1_1 ? !has_word(head.fields, "Connection", "close")
                                                                    : has_word(head.fields, "Connection", "keep-alive");
    return head;
}

Framing ResponseHead::framing(std::string_view method) const {
    // A length is checked even where no body follows: HEAD's is used as the object's size.
    Framing f;
    bool told = false;
    for (uint64_t i = 0; const std::string* value = find_field(fields, "Content-Length", i); ++i) {
        uint64_t length = 0;
        if (!parse_number(*value, length) || (told && length != f.length))
            throw Error(Code::network, "the server's answer has a bad Content-Length");
        f.length = length;
        told = true;
    }
    if (method == "HEAD" || status < 200 || status == 204 || status == 304) return f;
    if (const std::string* coding = find_field(fields, "Transfer-Encoding")) {
        if (!same_name(*coding, "chunked") || find_field(fields, "Transfer-Encoding", 1))
            throw Error(Code::unsupported, "the server's answer has an unknown transfer coding");
        // RFC 9112, section 6.3: it overrides a length, and the connection is not to be trusted further.
        f.kind = Framing::Kind::chunked;
        f.length = 0;
        return f;
    }
    f.kind = told ? Framing::Kind::length : Framing::Kind::until_close;
    return f;
}

}  // namespace http
