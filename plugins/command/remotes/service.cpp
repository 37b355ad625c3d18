#include "remotes/service.hpp"

#include <algorithm>
#include <singularity/text.hpp>

#include "remotes/url.hpp"

namespace remotes {

namespace json = singularity::json;

namespace {

std::string first_line(const std::string& text) {
    std::string line = text.substr(0, text.find_first_of("\r\n"));
    while (!line.empty() && line.back() == ' ') line.pop_back();
    return line;
}

}  // namespace

std::string status_text(unsigned status) {
    static constexpr std::pair<unsigned, const char*> names[] = {{400, "Bad Request"},
                                                                 {401, "Unauthorized"},
                                                                 {403, "Forbidden"},
                                                                 {404, "Not Found"},
                                                                 {405, "Method Not Allowed"},
                                                                 {409, "Conflict"},
                                                                 {413, "Request Entity Too Large"},
                                                                 {429, "Too Many Requests"},
                                                                 {500, "Internal Server Error"},
                                                                 {502, "Bad Gateway"},
                                                                 {503, "Service Unavailable"},
                                                                 {504, "Gateway Timeout"},
                                                                 {507, "Insufficient Storage"}};
    for (const auto& [number, name] : names)
        if (number == status) return std::to_string(status) + " (" + name + ")";
    return std::to_string(status);
}

std::string error_text(const std::string& body) {
    const size_t begin = body.find_first_not_of(" \t\r\n");
    if (begin == std::string::npos) return {};
    if (body[begin] == '{') {
        try {
            const json::Document document(body, "the answer", max_answer);
            const auto error = document.root()["error"];
            return json::printable(first_line(error.is_text() ? error.text() : error["message"].text_or()), 300);
        } catch (const Error&) {
            return {};
        }
    }
    // A page is for browsers.
    return body[begin] == '<' ? std::string() : json::printable(first_line(body.substr(begin)), 300);
}

Service::Service(std::string name, std::string base, std::string token, bool verify_tls)
    : name_(std::move(name)), base_(std::move(base)), token_(std::move(token)), verify_tls_(verify_tls) {}

singularity::ForeignResponse Service::send(const Call& call, const Host& host) const {
    const std::string url = call.path.find("://") == std::string::npos ? base_ + "/" + call.path : call.path;
    // Addresses that a server tells lead into the network, and not to files and sockets of this machine.
    if (!url.starts_with("https://") && !url.starts_with("http://"))
        throw Error(Code::veto, "the " + name_ + " at " + base_ + " leads to \"" + json::printable(url) +
                                    "\", which is no http or https address");
    const std::string authorization = "Bearer " + token_;
    std::vector<sg_header> headers;
    if (call.with_token && !token_.empty() && same_origin(url, base_))
        headers.push_back({"Authorization", authorization.c_str(), 1});
    for (const auto& [name, value] : call.headers) headers.push_back({name.c_str(), value.c_str(), 0});
    const std::string type = call.body ? call.content_type : "application/json";
    const bool has_body = call.body || !call.json.empty();
    if (has_body) headers.push_back({"Content-Type", type.c_str(), 0});
    headers.push_back({nullptr, nullptr, 0});

    sg_request request = singularity::plain_request(url.c_str());
    request.method = call.method.c_str();
    request.headers = headers.data();
    request.max_redirects = call.max_redirects;
    request.total_timeout_ms = call.timeout_ms;
    request.range_begin = call.range_begin;
    request.range_end = call.range_end;
    request.tls.verify = verify_tls_ ? 1 : 0;
    if (call.body) {
        request.body = singularity::to_c(call.body());
        request.body_size = call.body_size;
    } else if (has_body) {
        request.body = singularity::to_c(std::make_unique<singularity::TextStream>(call.json));
        request.body_size = call.json.size();
    }
    return singularity::send(host, url.substr(0, url.find(':')).c_str(), request);
}

Reply Service::ask(const Call& call, const Host& host) const {
    auto response = send(call, host);
    Reply reply;
    reply.status = response.status();
    const auto body = response.body();
    reply.text = singularity::read_all(*body, max_answer, "the answer of the " + name_ + " at " + base_);
    return reply;
}

std::optional<std::string> Service::data(const Call& call, const Host& host) const {
    const Reply reply = ask(call, host);
    if (reply.status == 404) return std::nullopt;
    if (reply.status < 200 || reply.status > 299)
        refuse(reply, call.method + " " + call.path.substr(0, call.path.find('?')));
    const std::string what = "the answer of the " + name_ + " at " + base_;
    if (reply.text.find_first_not_of(" \t\r\n") == std::string::npos) return "null";
    const json::Document document(reply.text, what, max_answer);
    const std::string data = document.root()["data"].dump();
    return data.empty() ? "null" : data;
}

void Service::refuse(const Reply& reply, const std::string& what) const {
    const std::string told = error_text(reply.text);
    const std::string message = what + ": the " + name_ + " at " + base_ + " answers " +
                                (told.empty() ? "" : "\"" + told + "\", ") + "HTTP status " + status_text(reply.status);
    switch (reply.status) {
        case 401:
            throw Error(Code::unauthorized, message,
                        token_.empty() ? "Log in: singularity remote login"
                                       : "The token may have expired: singularity remote login");
        case 403: throw Error(Code::permission, message, token_.empty() ? "Log in: singularity remote login" : "");
        case 404: throw Error(Code::not_found, message);
        case 409: throw Error(Code::exists, message);
        case 413: throw Error(Code::limit, message);
        case 507: throw Error(Code::no_space, message);
        default: throw Error(reply.status >= 500 || reply.status == 429 ? Code::network : Code::invalid, message);
    }
}

}  // namespace remotes
