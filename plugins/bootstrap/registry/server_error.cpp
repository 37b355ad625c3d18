#include "registry/server_error.hpp"

#include <algorithm>
#include <singularity/challenge.hpp>
#include <singularity/json.hpp>
#include <vector>

namespace registry {

static constexpr std::string_view line_separator = "\xe2\x80\xa8";
namespace {

namespace json = singularity::json;

constexpr size_t max_errors = 8, max_text = 400;

std::string code_text(const std::string& code) {
    std::string out = code;
    for (char& c : out) c = c == '_' ? ' ' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return json::printable(out, 80);
}

std::string text_of(const json::Value& v) { return v.is_text() ? json::printable(v.text(), max_text) : std::string(); }

// The errors in a JSON body; empty when there are none that can be read.
std::vector<std::string> errors_in(std::string_view body) {
    std::vector<std::string> out;
    try {
        const json::Document document(body, "the answer");
        const json::Value root = document.root();
        if (!root.is_object()) return out;
        if (const json::Value list = root["errors"]; list.is_list()) {
            for (const json::Value& e : list.list()) {
                if (!e.is_object() || out.size() == max_errors) continue;
                const std::string code = code_text(text_of(e["code"])), message = text_of(e["message"]);
                if (code.empty() && message.empty()) continue;
                out.push_back(code.empty() ? message : message.empty() ? code : code + ": " + message);
            }
            if (!out.empty()) return out;
        }
        for (const char* key : {"details", "message", "error_description", "error", "detail"})
            if (const std::string text = text_of(root[key]); !text.empty()) return {text};
    } catch (const singularity::Error&) {
        // Not JSON, or not of a form that we know.
    }
    return out;
}

const char* reason(unsigned status) {
    switch (status) {
        case 400: return "Bad Request";
        case 401: return "Unauthorized";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 406: return "Not Acceptable";
        case 408: return "Request Timeout";
        case 410: return "Gone";
        case 413: return "Content Too Large";
        case 416: return "Range Not Satisfiable";
        case 429: return "Too Many Requests";
        case 500: return "Internal Server Error";
        case 501: return "Not Implemented";
        case 502: return "Bad Gateway";
        case 503: return "Service Unavailable";
        case 504: return "Gateway Timeout";
        case 507: return "Insufficient Storage";
        default: return "";
    }
}

}  // namespace

std::string status_text(unsigned status) {
    const std::string why = reason(status);
    return std::to_string(status) + (why.empty() ? "" : " (" + why + ")");
}

std::string challenge_error(std::string_view header) {
    for (const singularity::Challenge& c : singularity::parse_challenges(header)) {
        if (c.scheme != "bearer") continue;
        const std::string error = c.parameter("error"), more = json::printable(c.parameter("error_description"), max_text);
        if (error == "insufficient_scope")
            return "denied: " + (more.empty() ? "requested access to the resource is denied" : more);
        if (error == "invalid_token") return "unauthorized: " + (more.empty() ? "authentication required" : more);
    }
    return {};
}

std::string error_text(unsigned status, std::string_view body, const std::string& also) {
    std::vector<std::string> errors = errors_in(body);
    if (!also.empty()) errors.insert(errors.begin(), also);
    // An error's message is one line. U+2028, Unicode's line separator, marks the places where several of a server are shown
    // apart; no text of the server's own holds it, as it is not printable.
    if (errors.size() == 1) return errors[0];
    if (!errors.empty()) {
        std::string out = "errors:";
        for (const std::string& e : errors) out += std::string(line_separator) + e;
        return out;
    }
    const std::string plain = "the server answers with HTTP status " + status_text(status);
    const size_t begin = body.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos || body[begin] == '<' || body[begin] == '{') return plain;
    body = body.substr(begin, body.find_first_of("\r\n", begin) - begin);
    // Only what reads as text.
    if (std::any_of(body.begin(), body.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; })) return plain;
    return plain + ": " + json::printable(body, max_text);
}

}  // namespace registry
