// The transport "unix": HTTP over a local socket; the URL's form is in <singularity/transport.h>.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <singularity/transport.hpp>

#include "family/exchange.hpp"
#include "family/url.hpp"

namespace unix_transport {

using http::Wait;
using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

struct Place {
    std::string socket;  // absolute path
    std::string target;  // of the request
    // For messages: without the values of the query that might be secret.
    std::string shown() const { return "unix:" + socket + " " + http::shown_url(target); }
};

Place parse(const std::string& url) {
    const auto bad = [&](const std::string& why) {
        return Error(Code::invalid, "the URL " + http::shown_url(url) + " " + why, "The form is unix://%2Frun%2Fdocker.sock/path.");
    };
    if (url.compare(0, 7, "unix://") != 0) throw bad("is no URL of a local socket");
    const size_t end = std::min(url.find_first_of("/?#", 7), url.size());
    Place p;
    p.socket = http::percent_decoded(url.substr(7, end - 7));
    if (p.socket.empty() || p.socket[0] != '/') throw bad("does not begin with the absolute path of a socket");
    if (p.socket.find('\0') != std::string::npos) throw bad("holds a NUL character");
    if (p.socket.size() >= sizeof(sockaddr_un::sun_path))
        throw bad("names a socket whose path is longer than " + std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes");
    p.target = http::Url::parse("http://localhost" + url.substr(end)).target;
    return p;
}

std::unique_ptr<http::Connection> open(const std::string& path, Wait& wait) {
    const auto failed = [&](int e) {
        const Code code = e == ENOENT || e == ENOTDIR ? Code::not_found : e == EACCES || e == EPERM ? Code::permission : Code::network;
        return Error(code, "cannot connect to the socket " + path + ": " + std::strerror(e)).because(e);
    };
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) throw failed(errno);
    auto channel = std::make_unique<http::SocketChannel>(fd);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    // A full queue is EAGAIN here, and nothing tells when it has room again.
    while (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        if (errno != EAGAIN && errno != EINTR) throw failed(errno);
        wait.within(nullptr, 0, 20);
    }
    return std::make_unique<http::Connection>(std::move(channel));
}

http::Timeouts timeouts_of(const sg_request& r, const Host& host) {
    const auto pick = [&](const char* key, uint32_t wanted, int64_t otherwise) {
        return wanted != 0 ? wanted : static_cast<uint64_t>(std::clamp<int64_t>(host.integer(key, otherwise), 0, 10'000'000)) * 1000;
    };
    return {pick("unix.connect_timeout", r.connect_timeout_ms, 10), pick("unix.idle_timeout", r.idle_timeout_ms, 300),
            pick("unix.total_timeout", r.total_timeout_ms, 0)};
}

}  // namespace

class Transport final : public singularity::Transport {
public:
    std::unique_ptr<singularity::Response> send(const sg_request& request, const Host& host) override {
        // The body is the transport's to close, whatever comes of the request.
        const auto body = request.body ? std::make_unique<singularity::ForeignStream>(request.body) : nullptr;
        const std::string url = request.url ? request.url : "";
        const Place place = parse(url);
        http::Outgoing out;
        out.method = request.method && *request.method ? request.method : "GET";
        out.target = place.target;
        out.fields = {{"Host", "localhost"}};
        std::vector<std::string> secrets;
        http::add_request_fields(request, out.fields, secrets);
        if (!http::find_field(out.fields, "User-Agent")) out.fields.emplace_back("User-Agent", http::user_agent());
        out.body = body.get();
        out.body_size = request.body_size;
        Wait wait(host, timeouts_of(request, host), "unix", place.shown());
        host.debug(http::shown_request(request, place.shown()));
        http::Incoming in = http::exchange(http::Pool::shared(), place.socket, [&](Wait& w) { return open(place.socket, w); }, out, wait);
        host.debug("  " + std::to_string(in.head.status) + " " + in.head.reason);
        try {
            http::check_range(request, in.head);
        } catch (const Error& e) {
            throw e.within(place.shown());
        }
        return std::make_unique<http::Answer>(std::move(in), url, out.method, place.socket, wait);
    }
};

}  // namespace unix_transport

SINGULARITY_PLUGIN(unix, unix_transport::Transport)
