#include "registry/token.hpp"

#include <algorithm>
#include <singularity/json.hpp>
#include <singularity/text.hpp>

namespace registry {

using singularity::Code;
using singularity::Error;
namespace json = singularity::json;

Token parse_token(std::string_view body, const std::string& where) {
    const size_t begin = body.find_first_not_of(" \t\r\n");
    if (begin != std::string_view::npos && body[begin] == '<')
        throw Error(Code::corrupt, where + " answered with a web page and not with a token");
    const json::Document document(body, "the answer of " + where);
    const json::Value root = document.root();
    if (!root.is_object()) root.fail("is not an object");
    Token out;
    out.text = root["token"].text_or();
    if (out.text.empty()) out.text = root["access_token"].text_or();
    if (out.text.empty()) throw Error(Code::corrupt, where + " answered without a token");
    // It becomes part of a header.
    if (std::any_of(out.text.begin(), out.text.end(), [](unsigned char c) { return c <= 0x20 || c >= 0x7f; }))
        throw Error(Code::corrupt, where + " answered with a token of characters that no token has");
    double seconds = 0;
    try {
        seconds = static_cast<double>(root["expires_in"].integer_or(0));
    } catch (const Error&) {
        // Some write it as a text or a fraction: the shortest life does no harm.
    }
    out.seconds = std::max(60.0, seconds);
    return out;
}

std::string repository_scope(const std::string& name, std::string_view actions) {
    return "repository:" + name + ":" + std::string(actions);
}

std::vector<std::string> split_scopes(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty() && out.size() < 16) {
        const size_t end = std::min(text.find(' '), text.size());
        if (end > 0) out.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

std::string basic_authorization(std::string_view user, std::string_view password) {
    return "Basic " + singularity::base64(std::string(user) + ":" + std::string(password));
}

}  // namespace registry
