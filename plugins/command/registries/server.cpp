#include "registries/server.hpp"

#include <algorithm>
#include <cerrno>
#include <singularity/challenge.hpp>
#include <singularity/json.hpp>
#include <singularity/text.hpp>
#include <singularity/transport.hpp>

namespace registry_command {

namespace {

namespace json = singularity::json;
using singularity::Challenge;

constexpr uint64_t max_token_answer = 1 << 20;
constexpr uint64_t max_headers = 16;
constexpr uint32_t patience_ms = 60000;  // nothing large is fetched

std::string base64(std::string_view bytes) {
    static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const size_t have = bytes.size() - i;
        uint32_t group = 0;
        for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < have ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        for (size_t k = 0; k < 4; ++k) out += k <= have ? digits[group >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

std::string scheme_of(const std::string& url) { return url.substr(0, url.find(':')); }
std::string host_of(const std::string& url) {
    const size_t begin = url.find("://");
    return begin == std::string::npos ? "" : url.substr(begin + 3, url.find_first_of("/?#", begin + 3) - begin - 3);
}

// Requests to one registry and its token server.
class Server {
public:
    Server(const Address& address, bool no_https, const Host& host) : address_(address), verify_(!no_https), host_(host) {}

    singularity::ForeignResponse get(const std::string& url, const std::string& authorization) const {
        const sg_header headers[] = {{"Authorization", authorization.c_str(), 1}, {nullptr, nullptr, 0}};
        sg_request request = singularity::plain_request(url.c_str());
        if (!authorization.empty()) request.headers = headers;
        request.tls.verify = verify_ ? 1 : 0;
        request.total_timeout_ms = patience_ms;
        return singularity::send(host_, scheme_of(url).c_str(), request);
    }

    // The first answer of https, or of http where that is allowed.
    singularity::ForeignResponse ping() {
        const bool http_too = !verify_ || is_this_machine();
        url_ = "https://" + address_.server + "/v2/";
        try {
            return get(url_, {});
        } catch (const Error& e) {
            // A server whose certificate nobody vouches for does speak TLS.
            if (!http_too || e.code() == Code::cancelled || e.sys_errno() == EKEYREJECTED) throw;
            host_.debug(e.message() + ": trying http");
        }
        url_ = "http://" + address_.server + "/v2/";
        return get(url_, {});
    }
    const std::string& url() const { return url_; }

private:
    bool is_this_machine() const {
        std::string name = address_.server;
        if (name.starts_with('[')) return name.starts_with("[::1]");
        name = name.substr(0, name.find(':'));
        return name == "localhost" || name.ends_with(".localhost") || name.starts_with("127.");
    }
    const Address& address_;
    bool verify_;
    const Host& host_;
    std::string url_;
};

[[noreturn]] void refused(const Address& address, unsigned status) {
    throw Error(Code::unauthorized, address.shown() + " does not accept this user name and password (HTTP status " + std::to_string(status) + ")",
                "Many registries want an access token in place of the password of their web site.");
}

// A token for no repository at all: who may have it is known to the server.
std::string token_of(const Server& server, const Challenge& challenge, const Address& address, const std::string& basic, const std::string& user) {
    const std::string realm = challenge.parameter("realm");
    if (!realm.starts_with("https://") && !realm.starts_with("http://"))
        throw Error(Code::corrupt, address.shown() + " names no token server: \"" + json::printable(realm) + "\"");
    if (realm.starts_with("http://") && server.url().starts_with("https://"))
        throw Error(Code::unauthorized, address.shown() + " wants the password to be sent unencrypted to " + json::printable(host_of(realm)) + ": refused");
    std::string url = realm + (realm.find('?') == std::string::npos ? "?" : "&") + "account=" + singularity::percent_encoded(user) + "&client_id=singularity";
    if (const std::string service = challenge.parameter("service"); !service.empty()) url += "&service=" + singularity::percent_encoded(service);
    auto answer = server.get(url, basic);
    if (answer.status() == 401 || answer.status() == 403) refused(address, answer.status());
    const std::string where = "the token server of " + address.shown();
    if (answer.status() != 200) throw Error(Code::network, where + " answers with HTTP status " + std::to_string(answer.status()));
    std::string body = singularity::read_all(*answer.body(), max_token_answer, "the answer of " + where);
    const json::Document document(body, "the answer of " + where, max_token_answer);
    Credentials::overwrite(body.data(), body.size());
    std::string token = document.root()["token"].text_or();
    if (token.empty()) token = document.root()["access_token"].text_or();
    if (token.empty()) throw Error(Code::corrupt, where + " gives no token");
    for (const char c : token)
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) throw Error(Code::corrupt, where + " gives a token with a control character");
    return token;
}

}  // namespace

Address parse_address(const std::string& text) {
    std::string name = text;
    if (const size_t scheme = name.find("://"); scheme != std::string::npos) name.erase(0, scheme + 3);
    name = name.substr(0, name.find('/'));
    for (char& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool odd = std::any_of(name.begin(), name.end(), [](char c) {
        return !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == ':' || c == '[' || c == ']');
    });
    if (name.empty() || odd || name.front() == ':' || name.front() == '.')
        throw Error(Code::usage, "\"" + json::printable(text) + "\" names no registry", "Write it as docker://HOST or docker://HOST:PORT.");
    if (name == "docker.io" || name == "index.docker.io" || name == "registry-1.docker.io")
        return {"docker.io", "registry-1.docker.io", "https://index.docker.io/v1/"};
    return {name, name, name};
}

void verify_login(const Address& address, const Credentials& who, bool no_https, const Host& host) {
    Server server(address, no_https, host);
    std::vector<Challenge> challenges;
    {
        auto answer = server.ping();
        if (answer.status() == 200) {
            host.warn(address.shown() + " wants no login: the password was not checked");
            return;
        }
        if (answer.status() != 401)
            throw Error(answer.status() == 404 ? Code::not_found : Code::network,
                        address.shown() + " is no registry: " + server.url() + " answers with HTTP status " + std::to_string(answer.status()));
        for (uint64_t i = 0; i < max_headers; ++i) {
            const char* header = answer.header("WWW-Authenticate", i);
            if (!header) break;
            for (auto& c : singularity::parse_challenges(header)) challenges.push_back(std::move(c));
        }
    }
    std::string pair = who.user + ":" + who.secret;
    std::string authorization = "Basic " + base64(pair);
    Credentials::overwrite(pair.data(), pair.size());
    const auto of_scheme = [&](const char* scheme) {
        return std::find_if(challenges.begin(), challenges.end(), [&](const Challenge& c) { return c.scheme == scheme; });
    };
    const auto bearer = of_scheme("bearer"), basic = of_scheme("basic");
    if (bearer == challenges.end() && basic == challenges.end())
        throw Error(Code::unsupported, address.shown() + " knows no way to log in that we know (Basic, Bearer)");
    if (bearer != challenges.end()) {
        std::string token = token_of(server, *bearer, address, authorization, who.user);
        Credentials::overwrite(authorization.data(), authorization.size());
        authorization = "Bearer " + token;
        Credentials::overwrite(token.data(), token.size());
    }
    auto answer = server.get(server.url(), authorization);
    Credentials::overwrite(authorization.data(), authorization.size());
    if (answer.status() == 401 || answer.status() == 403) refused(address, answer.status());
    if (answer.status() != 200)
        throw Error(Code::network, address.shown() + " answers with HTTP status " + std::to_string(answer.status()) + " to " + server.url());
}

}  // namespace registry_command
