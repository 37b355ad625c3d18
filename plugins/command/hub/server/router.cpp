#include "hub/server/router.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <istream>
#include <optional>
#include <ostream>

#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/StreamSocket.h>

#include "hub/server/json_text.hpp"

namespace hub {

namespace {

constexpr size_t longest_path = 8192;

std::optional<std::string> decoded(std::string_view text, bool plus) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (plus && text[i] == '+') {
            out += ' ';
        } else if (text[i] == '%') {
            unsigned value = 0;
            if (i + 2 >= text.size()) return std::nullopt;
            const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
            if (error != std::errc() || end != text.data() + i + 3) return std::nullopt;
            out += static_cast<char>(value);
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::vector<std::string> split(std::string_view text, char by) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const size_t end = std::min(text.find(by), text.size());
        if (end > 0) out.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

bool is_argument(const std::string& part) { return part.starts_with('{'); }
bool is_rest(const std::string& part) { return part.ends_with("*}"); }

bool matches(const std::vector<std::string>& pattern, const std::vector<std::string>& path, std::vector<std::string>& arguments) {
    arguments.clear();
    for (size_t i = 0; i < pattern.size(); ++i) {
        if (i >= path.size()) return false;
        if (is_rest(pattern[i])) {
            std::string rest = path[i];
            for (size_t k = i + 1; k < path.size(); ++k) rest += "/" + path[k];
            arguments.push_back(rest);
            return true;
        }
        if (is_argument(pattern[i]))
            arguments.push_back(path[i]);
        else if (pattern[i] != path[i])
            return false;
    }
    return pattern.size() == path.size();
}

// Smaller is better at the first place where two differ.
bool better(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    const auto rank = [](const std::string& part) { return is_rest(part) ? 2 : is_argument(part) ? 1 : 0; };
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
        if (rank(a[i]) != rank(b[i])) return rank(a[i]) < rank(b[i]);
    return a.size() > b.size();
}

struct Span {
    uint64_t first, last;
};

// RFC 9110, section 14: one range is served; several, and what is no range, count as none. Throws HttpError 416.
std::optional<Span> wanted_range(const std::string& header, uint64_t size) {
    if (!header.starts_with("bytes=") || header.find(',') != std::string::npos) return std::nullopt;
    const size_t dash = header.find('-');
    if (dash == std::string::npos) return std::nullopt;
    const auto number = [](std::string_view t) -> std::optional<uint64_t> {
        uint64_t v = 0;
        const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), v);
        if (error != std::errc() || end != t.data() + t.size()) return std::nullopt;
        return v;
    };
    const std::string a = header.substr(6, dash - 6), b = header.substr(dash + 1);
    const auto first = number(a), last = number(b);
    if ((!a.empty() && !first) || (!b.empty() && !last) || (a.empty() && b.empty())) return std::nullopt;
    if (first && last && *last < *first) return std::nullopt;
    if (a.empty()) {
        if (*last == 0 || size == 0) throw HttpError{416, "the file has no such range"};
        return Span{size - std::min(*last, size), size - 1};
    }
    if (*first >= size) throw HttpError{416, "the file has no such range"};
    return Span{*first, last ? std::min(*last, size - 1) : size - 1};
}

}  // namespace

std::vector<std::string> path_parts(std::string_view raw) {
    if (raw.size() > longest_path) throw HttpError{414, "the path is longer than 8192 bytes"};
    std::vector<std::string> out;
    for (const auto& part : split(raw, '/')) {
        const auto text = decoded(part, false);
        bool good = text && *text != "." && *text != "..";
        if (good)
            for (const char c : *text) good = good && c != '/' && c != '\\' && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
        if (!good) throw HttpError{400, "the path is not well formed"};
        out.push_back(*text);
    }
    return out;
}

std::map<std::string, std::string> query_parts(std::string_view raw) {
    std::map<std::string, std::string> out;
    for (const auto& pair : split(raw, '&')) {
        const size_t equals = std::min(pair.find('='), pair.size());
        const auto name = decoded(std::string_view(pair).substr(0, equals), true);
        const auto value = decoded(std::string_view(pair).substr(std::min(equals + 1, pair.size())), true);
        if (!name || !value) throw HttpError{400, "the query is not well formed"};
        out[*name] = *value;
    }
    return out;
}

namespace {

// A body that is read by a thread holds that thread, and anybody may send one where no token is asked for.
std::atomic<int> strangers{0};
constexpr int most_strangers = 32;

struct Stranger {
    explicit Stranger(bool counts) : counts_(counts) {
        if (!counts_ || ++strangers <= most_strangers) return;
        --strangers;
        throw HttpError{503, "too many requests at a time: try again"};
    }
    Stranger(const Stranger&) = delete;
    ~Stranger() {
        if (counts_) --strangers;
    }

private:
    bool counts_;
};

}  // namespace

std::string Request::body(size_t limit) {
    if (http.hasContentLength() && http.getContentLength64() > static_cast<int64_t>(limit)) throw HttpError{413, "the body is larger than " + std::to_string(limit) + " bytes"};
    const Stranger stranger(!identity);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(body_seconds);
    std::string out;
    char buffer[16 << 10];
    auto& in = http.stream();
    // What has come is taken at once: read() would wait for a whole buffer, however slowly it fills.
    while (in.peek() != std::char_traits<char>::eof()) {
        const auto n = in.readsome(buffer, sizeof buffer);
        out.append(buffer, static_cast<size_t>(n));
        if (out.size() > limit) throw HttpError{413, "the body is larger than " + std::to_string(limit) + " bytes"};
        if (std::chrono::steady_clock::now() > until) throw HttpError{408, "the body takes too long"};
    }
    if (http.hasContentLength() && static_cast<int64_t>(out.size()) < http.getContentLength64()) throw HttpError{400, "the body ends early"};
    return out;
}

const std::string& Request::parameter(const std::string& name) const {
    static const std::string none;
    const auto it = query.find(name);
    return it == query.end() ? none : it->second;
}

void Reply::data(const std::string& json, int status) { send(status, "application/json; charset=utf-8", "{\"data\":" + json + "}"); }

void Reply::error(int status, const std::string& message) {
    if (status == 401) http.set("WWW-Authenticate", "Bearer");
    const std::string error = JsonObject().add("code", status).add("status", status).add("message", message).text();
    send(status, "application/json; charset=utf-8", "{\"error\":" + error + "}");
}

void Reply::send(int status, const std::string& type, std::string_view body) {
    http.setStatusAndReason(static_cast<Poco::Net::HTTPResponse::HTTPStatus>(status));
    http.setContentType(type);
    http.set("X-Content-Type-Options", "nosniff");
    if (!http.has("Cache-Control")) http.set("Cache-Control", "no-store");
    http.setContentLength64(static_cast<int64_t>(body.size()));
    auto& out = http.send();
    if (!head_) out.write(body.data(), static_cast<std::streamsize>(body.size()));
    out.flush();
}

void Reply::empty(int status) {
    http.setStatusAndReason(static_cast<Poco::Net::HTTPResponse::HTTPStatus>(status));
    if (status != 204) http.setContentLength64(0);
    http.send().flush();
}

void Reply::file(int fd, uint64_t size, const std::string& type, const Request& request) {
    uint64_t at = 0, end = size;
    int status = 200;
    try {
        if (const auto range = wanted_range(request.http.get("Range", ""), size)) {
            at = range->first;
            end = range->last + 1;
            status = 206;
            http.set("Content-Range", "bytes " + std::to_string(range->first) + "-" + std::to_string(range->last) + "/" + std::to_string(size));
        }
    } catch (const HttpError&) {
        http.set("Content-Range", "bytes */" + std::to_string(size));
        throw;
    }
    http.setStatusAndReason(static_cast<Poco::Net::HTTPResponse::HTTPStatus>(status));
    http.setContentType(type);
    http.set("Accept-Ranges", "bytes");
    http.set("X-Content-Type-Options", "nosniff");
    http.setContentLength64(static_cast<int64_t>(end - at));
    http.send().flush();
    if (head_) return;
    if (at == end) return;
    rest_ = {::fcntl(fd, F_DUPFD_CLOEXEC, 3), static_cast<off_t>(at), static_cast<off_t>(end)};
    if (rest_.fd < 0) throw Poco::Net::ConnectionAbortedException("too many open files");
}

Reply::~Reply() {
    if (rest_.fd >= 0) ::close(rest_.fd);
}

int Reply::upgrade(const Request& request, const std::string& text) {
    auto& socket = static_cast<Poco::Net::HTTPServerRequestImpl&>(const_cast<Poco::Net::HTTPServerRequest&>(request.http)).socket();
    const int from = static_cast<int>(socket.impl()->sockfd());
    if (::send(from, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) throw Poco::Net::ConnectionAbortedException("the client has gone");
    const int fd = ::fcntl(from, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) throw Poco::Net::ConnectionAbortedException("too many open files");
    http.setStatus(Poco::Net::HTTPResponse::HTTP_SWITCHING_PROTOCOLS);
    upgraded_ = true;
    return fd;
}

void Router::add(const std::string& method, const std::string& pattern, Access access, Handler handler, bool secret) {
    routes_.push_back({method, pattern, access, secret, std::move(handler), split(pattern, '/')});
}

const Router::Route& Router::find(const std::string& method, const std::vector<std::string>& path, std::vector<std::string>& arguments) const {
    const Route* found = nullptr;
    bool other_method = false;
    std::vector<std::string> now;
    for (const auto& route : routes_) {
        if (!matches(route.parts, path, now)) continue;
        if (route.method != method && !(method == "HEAD" && route.method == "GET")) {
            other_method = true;
            continue;
        }
        if (found && !better(route.parts, found->parts)) continue;
        found = &route;
        arguments = now;
    }
    if (!found) throw HttpError{other_method ? 405 : 404, other_method ? "this path does not know the method" : "there is nothing at this path"};
    return *found;
}

}  // namespace hub
