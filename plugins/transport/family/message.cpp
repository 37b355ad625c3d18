#include "family/message.hpp"

#include <algorithm>
#include <singularity/error.hpp>

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
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
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
    std::string head = method + " " + target + " HTTP/1.1\r\n";
    for (const auto& [name, value] : fields) {
        // The value stays out of the message: it may be a secret.
        if (!is_token(name) || !is_value(value))
            throw Error(Code::invalid, "the header field " + (is_token(name) ? name : "of a request") +
                                           " has a character that none may have");
        head += name + ": " + value + "\r\n";
    }
    return head + "\r\n";
}

namespace {

constexpr size_t longest_reason = 1000;

Error bad(const std::string& why) { return Error(Code::network, "the server's answer is no HTTP: " + why); }

std::string_view without_blanks(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    return text;
}

// Takes the next line, which may end with LF alone (RFC 9112, section 2.2), off the front of `rest`.
std::string_view next_line(std::string_view& rest) {
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) throw bad("its head does not end");
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.find('\r') != std::string_view::npos) throw bad("a line of its head holds a carriage return");
    return line;
}

// "HTTP/1.1 200 OK", the reason may lack.
void read_status_line(std::string_view line, ResponseHead& head) {
    const size_t blank = std::min(line.find(' '), line.size());
    std::string_view rest = line.substr(blank);
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    uint64_t status = 0;
    if (!parse_number(rest.substr(0, rest.find(' ')), status) || status < 100 || status > 999)
        throw bad("its status is no number of three digits");
    head.status = static_cast<unsigned>(status);
    head.reason = without_blanks(rest.substr(3));
    if (head.reason.size() > longest_reason)
        throw bad("its reason is longer than " + std::to_string(longest_reason) + " bytes");
}

}  // namespace

ResponseHead ResponseHead::parse(const std::string& bytes) {
    if (bytes.compare(0, 7, "HTTP/1.") != 0) throw bad("it does not begin with HTTP/1");
    if (bytes.find('\0') != std::string::npos) throw bad("its head holds a NUL byte");
    ResponseHead head;
    std::string_view rest = bytes;
    read_status_line(next_line(rest), head);
    for (std::string_view line; !(line = next_line(rest)).empty();) {
        if (line.front() == ' ' || line.front() == '\t') {  // a folded value goes on (section 5.2)
            if (head.fields.empty()) throw bad("its first field has no name");
            head.fields.back().second += ' ';
            head.fields.back().second += without_blanks(line);
            continue;
        }
        const size_t colon = line.find(':');
        const std::string_view name = without_blanks(line.substr(0, colon));
        if (colon == std::string_view::npos || name.empty()) throw bad("a field of its head has no name");
        head.fields.emplace_back(name, without_blanks(line.substr(colon + 1)));
    }
    head.keep_alive = bytes.compare(0, 9, "HTTP/1.1 ") == 0 ? !has_word(head.fields, "Connection", "close")
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
