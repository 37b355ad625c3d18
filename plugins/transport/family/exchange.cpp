#include "family/exchange.hpp"

#include <algorithm>
#include <array>

namespace http {

namespace {

// Such a request may be sent twice (RFC 9110, section 9.2.2). Others, and those whose body can be sent only once, get a new
// connection, on which a lost answer cannot be the fault of the keeping.
bool repeatable(const Outgoing& request) {
    static constexpr std::array<std::string_view, 5> names{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};
    return !request.body && std::find(names.begin(), names.end(), request.method) != names.end();
}

std::string hex(size_t number) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    do out.insert(out.begin(), digits[number & 15]);
    while ((number >>= 4) != 0);
    return out;
}

// False: the server answered before the end.
bool send_body(Connection& connection, Outgoing& request, Wait& wait) {
    const bool chunked = request.body_size == SG_SIZE_UNKNOWN;
    uint64_t left = request.body_size;
    for (;;) {
        const singularity::Slice slice = request.body->next();
        if (slice.size() == 0) break;
        if (!chunked && slice.size() > left)
            throw Error(Code::corrupt, "the data to send is longer than the " + std::to_string(request.body_size) + " bytes that were announced");
        if (chunked && !connection.write(hex(slice.size()) + "\r\n", wait)) return false;
        if (slice.is_hole()) {
            static const std::string zeros(64 << 10, '\0');
            for (uint64_t n = slice.size(); n > 0;) {
                const auto part = static_cast<size_t>(std::min<uint64_t>(n, zeros.size()));
                if (!connection.write(std::string_view(zeros).substr(0, part), wait)) return false;
                n -= part;
            }
        } else if (!connection.write(slice.text(), wait)) {
            return false;
        }
        if (chunked && !connection.write("\r\n", wait)) return false;
        left -= chunked ? 0 : slice.size();
    }
    if (!chunked && left > 0)
        throw Error(Code::corrupt, "the data to send ends " + std::to_string(left) + " bytes before the announced size");
    return !chunked || connection.write("0\r\n\r\n", wait);
}

Incoming converse(std::unique_ptr<Connection> connection, Outgoing& request, const std::string& head, Wait& wait) {
    wait.begin(Wait::Phase::body);
    bool whole = connection->write(head, wait);
    if (whole && request.body) whole = send_body(*connection, request, wait);
    wait.begin(Wait::Phase::head);
    Incoming in;
    in.head = connection->read_head(wait);
    in.framing = in.head.framing(request.method);
    in.keep = whole && in.head.keep_alive && in.framing.kind != Framing::Kind::until_close &&
              !(find_field(in.head.fields, "Transfer-Encoding") && find_field(in.head.fields, "Content-Length"));
    in.connection = std::move(connection);
    return in;
}

}  // namespace

Incoming exchange(Pool& pool, const std::string& key, const OpenConnection& open, Outgoing& request, Wait& wait) {
    Fields fields = request.fields;
    if (request.body && request.body_size == SG_SIZE_UNKNOWN)
        fields.emplace_back("Transfer-Encoding", "chunked");
    else if (request.body || request.method == "POST" || request.method == "PUT" || request.method == "PATCH")
        fields.emplace_back("Content-Length", std::to_string(request.body ? request.body_size : 0));
    const std::string head = request_head(request.method, request.target, fields);
    for (;;) {
        wait.begin(Wait::Phase::connect);
        std::unique_ptr<Connection> connection = repeatable(request) ? pool.take(key) : nullptr;
        const bool kept = connection != nullptr;
        if (!connection) connection = open(wait);
        try {
            return converse(std::move(connection), request, head, wait);
        } catch (const Dropped& e) {
            if (!kept) throw e.within(wait.what());
        } catch (const Error& e) {
            if (e.code() == Code::cancelled || e.code() == Code::timeout) throw;
            throw e.within(wait.what());
        }
    }
}

void add_request_fields(const sg_request& request, Fields& out, std::vector<std::string>& secrets) {
    static constexpr std::array<std::string_view, 6> ours{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Range", "Upgrade"};
    for (const sg_header* h = request.headers; h && h->name; ++h) {
        for (const auto name : ours)
            if (same_name(name, h->name)) throw Error(Code::invalid, "the header field " + std::string(name) + " is the transport's to set");
        out.emplace_back(h->name, h->value ? h->value : "");
        if (h->secret) secrets.emplace_back(h->name);
    }
    if (request.range_begin == 0 && request.range_end == SG_SIZE_UNKNOWN) return;
    if (request.range_end <= request.range_begin) throw Error(Code::invalid, "an empty range of bytes was asked for");
    out.emplace_back("Range", "bytes=" + std::to_string(request.range_begin) + "-" +
                                  (request.range_end == SG_SIZE_UNKNOWN ? "" : std::to_string(request.range_end - 1)));
}

void check_range(const sg_request& request, const ResponseHead& head) {
    if (head.status != 206) return;
    const auto bad = [](const std::string& why) { return Error(Code::corrupt, "the server sent another part than was asked for: " + why); };
    if (request.range_begin == 0 && request.range_end == SG_SIZE_UNKNOWN) throw bad("the whole was wanted");
    // "bytes FIRST-LAST/TOTAL" (RFC 9110, section 14.4); TOTAL may be "*".
    const std::string* field = find_field(head.fields, "Content-Range");
    if (!field) throw bad("it does not say which");
    std::string_view text = *field;
    uint64_t first = 0, last = 0;
    const size_t dash = text.find('-'), slash = text.find('/');
    if (!same_name(text.substr(0, 6), "bytes ") || dash == std::string_view::npos || slash == std::string_view::npos || slash < dash ||
        !parse_number(text.substr(6, dash - 6), first) || !parse_number(text.substr(dash + 1, slash - dash - 1), last) || last < first)
        throw bad("Content-Range is \"" + *field + "\"");
    if (first != request.range_begin || (request.range_end != SG_SIZE_UNKNOWN && last >= request.range_end))
        throw bad("Content-Range is \"" + *field + "\"");
    uint64_t length = 0;
    if (const std::string* told = find_field(head.fields, "Content-Length"); told && parse_number(*told, length) && length != last - first + 1)
        throw bad("Content-Range is \"" + *field + "\" and Content-Length " + *told);
}

std::string user_agent() {
    return std::string("singularity/") + (singularity::detail::the_host ? singularity::detail::the_host->version : "unknown");
}

std::string shown_request(const sg_request& request, const std::string& url) {
    std::string out = std::string(request.method ? request.method : "GET") + " " + url;
    if (request.range_begin != 0 || request.range_end != SG_SIZE_UNKNOWN)
        out += " (bytes from " + std::to_string(request.range_begin) + ")";
    return out;
}

Answer::Answer(Incoming incoming, std::string url, std::string method, const std::string& key, const Wait& wait)
    : head_(std::move(incoming.head)), url_(std::move(url)) {
    const Framing& f = incoming.framing;
    if (f.kind == Framing::Kind::length) size_ = f.length;
    if (f.kind == Framing::Kind::none) {
        size_ = 0;
        if (method == "HEAD") size_ = find_field(head_.fields, "Content-Length") ? f.length : SG_SIZE_UNKNOWN;
    }
    body_ = std::make_unique<Body>(std::move(incoming.connection), f, incoming.keep ? key : "", wait);
}

Answer::~Answer() {
    // A small body that nobody wanted, as an error's, is passed over when it is (almost) here: the connection lives on.
    try {
        char scratch[16 << 10];
        bool lingered = false;
        for (int i = 0; body_ && !body_->done() && i < 4; ++i) {
            if (body_->read(scratch, sizeof scratch, Connection::Patience::now) > 0 || body_->done()) continue;
            if (lingered) break;
            body_->linger(5);
            lingered = true;
        }
    } catch (const std::exception&) {
    }
}

const char* Answer::header(const char* name, uint64_t i) const {
    const std::string* value = find_field(head_.fields, name, i);
    return value ? value->c_str() : nullptr;
}

std::unique_ptr<singularity::Stream> Answer::body() {
    if (!body_) throw Error(Code::internal, "the body of an answer can be had once");
    return std::make_unique<BodyStream>(std::move(body_));
}

}  // namespace http
