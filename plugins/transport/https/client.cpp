#include "https/client.hpp"

#include <algorithm>

#include "family/url.hpp"
#include "https/certs_d.hpp"
#include "https/proxy.hpp"
#include "https/resolver.hpp"
#include "https/tls.hpp"

namespace https {

using http::Connection;
using http::Fields;
using http::Url;
using http::Wait;
using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

uint64_t milliseconds(const Host& host, const char* key, uint32_t wanted, int64_t otherwise) {
    if (wanted != 0) return wanted;
    return static_cast<uint64_t>(std::clamp<int64_t>(host.integer(key, otherwise), 0, 10'000'000)) * 1000;
}

http::Timeouts timeouts_of(const sg_request& r, const Host& host) {
    return {milliseconds(host, "https.connect_timeout", r.connect_timeout_ms, 10),
            milliseconds(host, "https.idle_timeout", r.idle_timeout_ms, 60),
            milliseconds(host, "https.total_timeout", r.total_timeout_ms, 0)};
}

void refuse_link_local(const Address& a, const Url& url) {
    if (a.link_local())
        throw Error(Code::permission, url.shown() + ": " + a.text() + " is a link-local address, where machines keep services that are nobody else's business",
                    "The configuration key https.link_local allows such addresses.");
}

// A way to the server of one URL.
class Route {
public:
    Route(const Url& url, const sg_tls& tls, bool first_origin, bool link_local) : url_(url), link_local_(link_local), proxy_(proxy_for(url)) {
        if (url_.scheme == "https") {
            tls_.verify = tls.verify != 0;
            if (tls.ca_file && *tls.ca_file) tls_.ca.emplace_back(tls.ca_file);
            if (first_origin && tls.client_cert && *tls.client_cert) {
                tls_.certificate = tls.client_cert;
                tls_.key = tls.client_key ? tls.client_key : "";
            }
            add_certs_d(certs_d_roots(), url_.host, url_.port == 443 ? 0 : url_.port, tls_);
        }
        if (Address literal; !link_local_ && parse_address(url_.host, url_.port_or_default(), literal)) refuse_link_local(literal, url_);
    }

    std::string key() const {
        return url_.scheme + "\n" + url_.host + "\n" + std::to_string(url_.port_or_default()) + "\n" + (proxy_ ? proxy_->identity() : "") + "\n" +
               (url_.scheme == "https" ? tls_.identity() : "");
    }
    // A plain request to a proxy names the whole URL, and says who asks.
    bool through_proxy() const { return proxy_ && url_.scheme == "http"; }
    const std::optional<Proxy>& proxy() const { return proxy_; }

    std::unique_ptr<Connection> open(Wait& wait) const {
        const std::string where = proxy_ ? "the proxy " + proxy_->shown() : url_.authority();
        int fd = -1;
        try {
            const auto addresses = resolve(proxy_ ? proxy_->host : url_.host, proxy_ ? proxy_->port : url_.port_or_default(), wait);
            if (!proxy_ && !link_local_)
                for (const Address& a : addresses) refuse_link_local(a, url_);
            fd = connect(addresses, where, wait);
            if (url_.scheme != "https") return std::make_unique<Connection>(std::make_unique<http::SocketChannel>(fd));
            if (proxy_) fd = tunnel(fd, wait);
            return std::make_unique<Connection>(open_tls(fd, url_.host, url_.authority(), tls_, wait));
        } catch (const Error& e) {
            if (e.code() == Code::cancelled || e.code() == Code::timeout || e.code() == Code::permission) throw;
            throw e.within(wait.what());
        }
    }

private:
    // CONNECT (RFC 9110, section 9.3.6): after a 2xx answer the socket leads to the server. Takes `fd` and gives it back.
    int tunnel(int fd, Wait& wait) const {
        auto channel = std::make_unique<http::SocketChannel>(fd);
        auto* socket = channel.get();
        Connection connection(std::move(channel));
        const std::string target = (url_.host.find(':') == std::string::npos ? url_.host : "[" + url_.host + "]") + ":" + std::to_string(url_.port_or_default());
        Fields fields{{"Host", target}, {"User-Agent", http::user_agent()}};
        if (!proxy_->authorization.empty()) fields.emplace_back("Proxy-Authorization", proxy_->authorization);
        connection.write(http::request_head("CONNECT", target, fields), wait);
        const http::ResponseHead head = connection.read_head(wait);
        if (head.status == 407)
            throw Error(Code::unauthorized, "the proxy " + proxy_->shown() + " wants a user name and a password",
                        "Write them into the proxy's URL: http://USER:PASSWORD@HOST:PORT.");
        if (head.status / 100 != 2)
            throw Error(Code::network, "the proxy " + proxy_->shown() + " refused the connection: " + std::to_string(head.status) + " " + head.reason,
                        "Hosts that need no proxy are listed in NO_PROXY.");
        if (!connection.buffered().empty()) throw Error(Code::network, "the proxy " + proxy_->shown() + " sent bytes that are not the server's");
        return socket->release();
    }

    Url url_;
    bool link_local_;
    std::optional<Proxy> proxy_;
    TlsSettings tls_;
};

// Closes the request's body, whatever comes of it.
std::unique_ptr<singularity::ForeignStream> body_of(const sg_request& r) {
    return r.body ? std::make_unique<singularity::ForeignStream>(r.body) : nullptr;
}

bool has(const Fields& fields, std::string_view name) { return http::find_field(fields, name) != nullptr; }

void drop(Fields& fields, const std::vector<std::string>& names) {
    std::erase_if(fields, [&](const auto& f) {
        return std::any_of(names.begin(), names.end(), [&](const std::string& n) { return http::same_name(n, f.first); });
    });
}

Url checked_url(const sg_request& r) {
    Url url = Url::parse(r.url ? r.url : "");
    if (url.scheme != "http" && url.scheme != "https")
        throw Error(Code::invalid, "the URL " + url.shown() + " is neither http nor https");
    return url;
}

// The request's head as it is sent to this URL.
http::Outgoing outgoing(const std::string& method, const Url& url, const Route& route, const Fields& fields) {
    http::Outgoing out;
    out.method = method;
    out.target = route.through_proxy() ? url.scheme + "://" + url.authority() + url.target : url.target;
    out.fields.emplace_back("Host", url.authority());
    for (const auto& f : fields) out.fields.push_back(f);
    if (!has(fields, "User-Agent")) out.fields.emplace_back("User-Agent", http::user_agent());
    if (!has(fields, "Accept")) out.fields.emplace_back("Accept", "*/*");
    if (!has(fields, "Accept-Encoding")) out.fields.emplace_back("Accept-Encoding", "identity");
    if (route.through_proxy() && !route.proxy()->authorization.empty())
        out.fields.emplace_back("Proxy-Authorization", route.proxy()->authorization);
    return out;
}

// Fields of a request with the credentials of its URL; names of those that stay with the first origin.
struct Headers {
    Fields fields;
    std::vector<std::string> secrets{"Authorization", "Cookie", "Proxy-Authorization"};
    Headers(const sg_request& r, const Url& url) {
        http::add_request_fields(r, fields, secrets);
        if (!url.userinfo.empty() && !has(fields, "Authorization")) fields.emplace_back("Authorization", basic_authorization(url.userinfo));
    }
};

bool is_redirect(unsigned status) { return status == 301 || status == 302 || status == 303 || status == 307 || status == 308; }

// Where an answer leads; throws when we do not follow.
Url next_url(const Url& from, const std::string& location, bool insecure) {
    Url to = from.resolve(location);
    to.userinfo.clear();
    const std::string shown = http::shown_url(location);
    if (to.scheme != "http" && to.scheme != "https")
        throw Error(Code::permission, from.shown() + " redirects to " + shown + ", which is neither http nor https");
    if (from.scheme == "https" && to.scheme == "http" && !insecure)
        throw Error(Code::permission, from.shown() + " redirects to " + shown + ", which is not secured by TLS");
    return to;
}

}  // namespace

std::unique_ptr<singularity::Response> send(const sg_request& request, const Host& host) {
    const auto body = body_of(request);
    const Url first = checked_url(request);
    Url url = first;
    std::string method = request.method && *request.method ? request.method : "GET";
    Headers headers(request, url);
    Wait wait(host, timeouts_of(request, host), "https", url.shown());
    const bool link_local = host.boolean("https.link_local", false);
    bool first_origin = true;
    for (uint32_t redirects = 0;; ++redirects) {
        const Route route(url, request.tls, first_origin, link_local);
        http::Outgoing out = outgoing(method, url, route, headers.fields);
        out.body = body.get();
        out.body_size = request.body_size;
        if (method != (request.method && *request.method ? request.method : "GET")) out.body = nullptr;
        host.debug(http::shown_request(request, url.shown()));
        http::Incoming in = http::exchange(http::Pool::shared(), route.key(), [&](Wait& w) { return route.open(w); }, out, wait);
        host.debug("  " + std::to_string(in.head.status) + " " + in.head.reason);
        const std::string* location = http::find_field(in.head.fields, "Location");
        if (!is_redirect(in.head.status) || !location || request.max_redirects == 0) {
            try {
                http::check_range(request, in.head);
            } catch (const Error& e) {
                throw e.within(url.shown());
            }
            return std::make_unique<http::Answer>(std::move(in), url.text(), method, route.key(), wait);
        }
        if (redirects == request.max_redirects)
            throw Error(Code::limit, first.shown() + ": more than " + std::to_string(request.max_redirects) + " redirects, the last one to " + http::shown_url(*location));
        const Url next = next_url(url, *location, request.tls.verify == 0);
        // As browsers and Go do it (RFC 9110, section 15.4): only 307 and 308 keep the method of a request with a body.
        if ((in.head.status == 303 && method != "HEAD") || (in.head.status <= 302 && method == "POST")) method = "GET";
        if (body && method != "GET" && method != "HEAD")
            throw Error(Code::unsupported, url.shown() + " redirects a request whose body cannot be sent twice, to " + http::shown_url(*location));
        if (!next.same_origin(url)) {
            first_origin = false;
            drop(headers.fields, headers.secrets);
        }
        http::Answer(std::move(in), url.text(), method, route.key(), wait);  // passes over its body, to keep the connection
        url = next;
        wait.about(url.shown());
    }
}

Upgraded::Upgraded(const sg_request& request, const std::string& protocol, const Host& host)
    : wait_(host, timeouts_of(request, host), "https", http::shown_url(request.url ? request.url : "")) {
    const auto body = body_of(request);
    const Url url = checked_url(request);
    if (body) throw Error(Code::invalid, "a request for another protocol has no body");
    Headers headers(request, url);
    const Route route(url, request.tls, true, host.boolean("https.link_local", false));
    http::Outgoing out = outgoing(request.method && *request.method ? request.method : "GET", url, route, headers.fields);
    out.fields.emplace_back("Connection", "Upgrade");
    out.fields.emplace_back("Upgrade", protocol);
    host.debug(http::shown_request(request, url.shown()) + " (to become " + protocol + ")");
    wait_.begin(Wait::Phase::connect);
    connection_ = route.open(wait_);
    wait_.begin(Wait::Phase::body);
    connection_->write(http::request_head(out.method, out.target, out.fields), wait_);
    wait_.begin(Wait::Phase::head);
    const http::ResponseHead head = connection_->read_head(wait_);
    host.debug("  " + std::to_string(head.status) + " " + head.reason);
    const std::string* became = http::find_field(head.fields, "Upgrade");
    if (head.status != 101 || !became || !http::same_name(*became, protocol)) {
        const Code code = head.status == 401 ? Code::unauthorized : head.status == 403 ? Code::permission : head.status == 404 ? Code::not_found : Code::network;
        throw Error(code, url.shown() + " does not change to " + protocol + ": " + std::to_string(head.status) + " " + head.reason);
    }
    // Silence is no failure of a conversation.
    wait_.begin(Wait::Phase::conversation);
}

size_t Upgraded::read(char* to, size_t size) {
    if (size == 0) return 0;
    return connection_->read(to, size, wait_, Connection::Patience::wait);
}

void Upgraded::write(std::string_view bytes) {
    connection_->write_whole(bytes, wait_);
}

}  // namespace https
