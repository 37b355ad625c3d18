#include "signing/keyserver.hpp"

#include <algorithm>
#include <cctype>
#include <singularity/json.hpp>
#include <singularity/printable.hpp>
#include <singularity/text.hpp>

#include "remotes/active.hpp"

namespace signing {

using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

constexpr uint64_t answer_limit = 16 << 20;

std::string unescaped(std::string_view text) {
    std::string out;
    const auto digit = [](char c) {
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
    };
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
            out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
            i += 2;
        } else {
            out += text[i] == '+' ? ' ' : text[i];
        }
    }
    return singularity::json::printable(out, 300);
}

std::vector<std::string> fields(std::string_view line) {
    std::vector<std::string> out;
    for (size_t at = 0; at <= line.size();) {
        const size_t end = std::min(line.find(':', at), line.size());
        out.emplace_back(line.substr(at, end - at));
        at = end + 1;
    }
    return out;
}

}  // namespace

KeyServer::KeyServer(const std::string& url, std::string authorization, bool insecure)
    : url_(url), authorization_(std::move(authorization)), insecure_(insecure) {
    while (!url_.empty() && url_.back() == '/') url_.pop_back();
    if (url_.starts_with("hkps://")) url_ = "https://" + url_.substr(7);
    if (url_.starts_with("hkp://")) {
        url_ = "http://" + url_.substr(6);
        if (url_.find(':', 7) == std::string::npos) url_ += ":11371";
    }
    if (!url_.starts_with("http://") && !url_.starts_with("https://"))
        throw Error(Code::invalid, "'" + url + "' is no address of a key server",
                    "for example: https://keys.openpgp.org");
}

std::string KeyServer::request(const char* method, const std::string& path, const std::string& form,
                               const Host& host) const {
    const std::string full = url_ + path;
    sg_request request = singularity::plain_request(full.c_str());
    request.method = method;
    std::vector<sg_header> headers;
    if (!authorization_.empty()) headers.push_back({"Authorization", authorization_.c_str(), 1});
    if (!form.empty()) headers.push_back({"Content-Type", "application/x-www-form-urlencoded", 0});
    headers.push_back({nullptr, nullptr, 0});
    request.headers = headers.data();
    request.tls.verify = insecure_ ? 0 : 1;
    if (!form.empty()) {
        request.body = singularity::to_c(std::make_unique<singularity::TextStream>(form));
        request.body_size = form.size();
    }
    auto response = singularity::send(host, url_.substr(0, url_.find(':')).c_str(), request);
    const auto body = response.body();
    const std::string text = singularity::read_all(*body, answer_limit, "the answer of " + url_);
    const unsigned status = response.status();
    if (status >= 200 && status < 300) return text;
    if (status == 404) throw Error(Code::not_found, "no matching keys found at " + url_);
    if (status == 401 || status == 403)
        throw Error(Code::unauthorized, url_ + " wants a token, or refuses it", "see: singularity remote login");
    throw Error(Code::network, url_ + " answered with status " + std::to_string(status));
}

std::string KeyServer::get(const std::string& id, const Host& host) const {
    return request("GET", "/pks/lookup?op=get&options=mr&exact=on&search=0x" + singularity::percent_encoded(id), "",
                   host);
}

void KeyServer::push(const std::string& armoured, const Host& host) const {
    request("POST", "/pks/add", "keytext=" + singularity::percent_encoded(armoured), host);
}

std::vector<KeyServer::Hit> KeyServer::search(const std::string& text, const Host& host) const {
    const std::string answer = request(
        "GET",
        "/pks/lookup?op=index&options=mr&fingerprint=on&x-pagesize=256&search=" + singularity::percent_encoded(text),
        "", host);
    return read_index(answer);
}

std::vector<KeyServer::Hit> KeyServer::read_index(std::string_view answer) {
    std::vector<Hit> out;
    for (size_t at = 0; at < answer.size();) {
        const size_t end = std::min(answer.find('\n', at), answer.size());
        std::string_view line = answer.substr(at, end - at);
        if (line.ends_with('\r')) line.remove_suffix(1);
        at = end + 1;
        auto f = fields(line);
        for (std::string& text : f) text = singularity::printable(unescaped(text));
        if (f[0] == "pub" && f.size() >= 7)
            out.push_back({f[1], f[2], f[3], f[4], f[5], f[6], {}});
        else if (f[0] == "uid" && f.size() >= 2 && !out.empty())
            out.back().users.push_back(f[1]);
    }
    return out;
}

std::vector<KeyServer> key_servers(const std::string& given, const Host& host) {
    std::vector<KeyServer> out;
    if (!given.empty()) {
        const KeyServer named(given);  // as http or https
        out.emplace_back(named.url(), remotes::authorization_of(named.url(), host));
        return out;
    }
    for (const auto& server : remotes::active_keyservers(host))
        out.emplace_back(server.url, server.authorization, server.insecure);
    if (!out.empty()) return out;
    const auto* config = singularity::detail::host_table<sg_host_config_v1>("config");
    for (uint64_t i = 0; config; ++i) {
        const char* url = config->item("signing.keyservers", i);
        if (!url) break;
        out.emplace_back(url);
    }
    if (out.empty())
        throw Error(Code::not_found, "no key server is configured", "name one with --url, or set signing.keyservers");
    return out;
}

}  // namespace signing
