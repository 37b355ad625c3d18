// Tables "transport" 1 and "upgrade" 1.
#include <netinet/in.h>
#include <singularity/transport.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checks.hpp"
#include "contract.hpp"

namespace conformance {

namespace {

sg_request request_for(const char* url, const char* method = "GET") {
    sg_request r{};
    r.method = method;
    r.url = url;
    r.range_end = SG_SIZE_UNKNOWN;
    r.max_redirects = 5;
    r.tls.verify = 1;
    r.connect_timeout_ms = 2000;
    r.idle_timeout_ms = 2000;
    r.total_timeout_ms = 5000;
    return r;
}

// Accepts and never answers.
class Deaf {
public:
    Deaf() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof a;
        if (bind(fd_, reinterpret_cast<sockaddr*>(&a), size) != 0 || listen(fd_, 16) != 0 ||
            getsockname(fd_, reinterpret_cast<sockaddr*>(&a), &size) != 0)
            return;
        port_ = ntohs(a.sin_port);
    }
    ~Deaf() { close(fd_); }
    Deaf(const Deaf&) = delete;
    Deaf& operator=(const Deaf&) = delete;
    int port() const { return port_; }

private:
    int fd_;
    int port_ = 0;
};

struct Fetched {
    int32_t code = SG_OK;
    uint32_t status = 0;
    std::string why;  // it failed
    Read body;
};

Fetched fetch(Probe& probe, const sg_transport_v1& t, const sg_request& r, const sg_call* call,
              const std::string& where) {
    Fetched out;
    sg_response* response = nullptr;
    out.code = called(probe, where, [&](sg_error* e) { return t.send(&r, call, &response, e); });
    out.why = probe.why();
    if (out.code != SG_OK) return out;
    if (!probe.expect(response, "gives no response though it succeeds " + where)) return out;
    probe.step("in status, header, url and size " + where);
    out.status = t.status(response);
    probe.expect(out.status >= 100 && out.status < 600, "gives the status " + std::to_string(out.status) + " " + where);
    probe.expect(!t.header(response, "x-no-such-header", 0), "has a header that nobody sent " + where);
    probe.expect(!t.header(response, "content-length", UINT64_MAX), "has endless headers of one name " + where);
    probe.expect(t.url(response), "gives no URL " + where);
    const uint64_t size = t.size(response);
    sg_stream* body = nullptr;
    if (called(probe, "in body " + where, [&](sg_error* e) { return t.body(response, &body, e); }) == SG_OK && body) {
        out.body = drain(probe, "in the body " + where, body);
        if (out.body.code == SG_OK && strcmp(r.method, "HEAD") != 0)
            probe.expect(
                size == SG_SIZE_UNKNOWN || size == out.body.size,
                "says " + std::to_string(size) + " bytes and gives " + std::to_string(out.body.size) + " " + where);
    }
    probe.step("in close " + where);
    t.close(response);
    return out;
}

}  // namespace

void check_transport(Run& run, const Capability& c) {
    const std::string sample = [&] {
        for (const auto& s : run.subject.samples)
            if (s.starts_with(c.name + ":")) return s;
        return std::string();
    }();
    run.check(c.title() + ": requests that nobody expects", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& t = loaded.need<sg_transport_v1>(probe, c.name, "transport");
        if (!probe.expect(t.send && t.status && t.header && t.url && t.size && t.body && t.close,
                          "a function of its table is NULL"))
            return;
        std::vector<std::string> urls{"",
                                      c.name,
                                      c.name + ":",
                                      c.name + "://",
                                      "no-such-scheme://x/y",
                                      c.name + "://[",
                                      c.name + "://127.0.0.1:99999/"};
        for (const auto& text : strange_texts())
            if (text.size() < 70000) urls.push_back(c.name + "://" + text);
        urls.push_back(c.name + ":///" + std::string(1 << 20, 'A'));
        for (const auto& url : urls) {
            if (probe.tired()) return;
            const std::string where = "in a request for '" + shown(url) + "'";
            sg_call call;
            fetch(probe, t, request_for(url.c_str()), &call, where);
            call.settle(probe, where);
            // Whatever comes of it, the body that goes out is closed once.
            Source body = Source::of("text that nobody wants");
            sg_request put = request_for(url.c_str(), "PUT");
            put.body = &body;
            put.body_size = body.size;
            const sg_header headers[] = {{"X-Secret", "s", 1}, {nullptr, nullptr, 0}};
            put.headers = headers;
            sg_response* response = nullptr;
            if (called(probe, where + " (PUT)", [&](sg_error* e) { return t.send(&put, nullptr, &response, e); }) ==
                    SG_OK &&
                response)
                t.close(response);
            probe.expect(body.closed == 1,
                         "closes the request's body " + std::to_string(body.closed) + " times " + where);
        }
    });
    run.check(c.title() + ": ends when it is cancelled", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& t = loaded.need<sg_transport_v1>(probe, c.name, "transport");
        const Deaf deaf;
        const std::string silent = c.name + "://127.0.0.1:" + std::to_string(deaf.port()) + "/x";
        for (const auto& url : {sample.empty() ? silent : sample, silent})
            for (const unsigned after : {0u, 50u})
                ends_when_cancelled(probe, "in a request for '" + shown(url) + "'", after, [&](const sg_call* call) {
                    fetch(probe, t, request_for(url.c_str()), call, "in a request for '" + shown(url) + "'");
                });
    });
    run.check(c.title() + ": leaks nothing", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& t = loaded.need<sg_transport_v1>(probe, c.name, "transport");
        Probe quiet(-1);
        const std::string wrong = c.name + ":///nowhere/at/all";
        leaks_nothing(probe, "requests for '" + (sample.empty() ? wrong : sample) + "'", [&] {
            fetch(quiet, t, request_for(wrong.c_str()), nullptr, "");
            if (!sample.empty()) fetch(quiet, t, request_for(sample.c_str()), nullptr, "");
        });
    });
    run.check(c.title() + ": upgrade, where there is one", [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto* u = loaded.find<sg_upgrade_v1>(c.name, "upgrade");
        if (!u) probe.skip("it has no table 'upgrade'");
        if (!probe.expect(u->open && u->read && u->write && u->close, "a function of its table 'upgrade' is NULL"))
            return;
        for (const auto& url :
             {std::string(), c.name + ":///nowhere/at/all", c.name + "://" + std::string(1 << 16, 'A')}) {
            const sg_request r = request_for(url.c_str());
            sg_duplex* d = nullptr;
            refused(
                probe, "in upgrade of '" + shown(url) + "'",
                [&](sg_error* e) { return u->open(&r, "websocket", nullptr, &d, e); }, [&] { u->close(d); });
        }
    });
    if (sample.empty()) return run.skip(c.title() + ": a real object", "no URL of it was given by --with");
    run.check(c.title() + ": " + shown(sample), [&](Probe& probe) {
        const Loaded loaded(probe, run.subject);
        const auto& t = loaded.need<sg_transport_v1>(probe, c.name, "transport");
        sg_call call;
        const Fetched whole = fetch(probe, t, request_for(sample.c_str()), &call, "in GET");
        call.settle(probe, "in GET");
        const std::string why = whole.code == SG_OK ? ": status " + std::to_string(whole.status) : whole.why;
        if (!probe.expect(whole.code == SG_OK && whole.status < 400, "cannot get what was given by --with" + why))
            return;
        fetch(probe, t, request_for(sample.c_str(), "HEAD"), nullptr, "in HEAD");
        if (whole.body.size >= 8) {
            sg_request part = request_for(sample.c_str());
            part.range_begin = 2;
            part.range_end = 7;
            const Fetched some = fetch(probe, t, part, nullptr, "in GET of bytes 2 to 7");
            if (some.code == SG_OK && some.status == 206) {
                probe.expect(some.body.size == 5, "gives " + std::to_string(some.body.size) + " bytes of a range of 5");
                probe.expect(some.body.bytes == whole.body.bytes.substr(2, 5), "gives other bytes for a range");
            } else if (some.code == SG_OK && some.status == 200) {
                probe.expect(some.body.sha256 == whole.body.sha256,
                             "answers a range with status 200, but not with the whole");
            }
        }
        std::atomic<unsigned> differ{0};
        probe.step("in GET, from 8 threads");
        in_threads(8, [&](unsigned) {
            Probe quiet(-1);
            const Fetched again = fetch(quiet, t, request_for(sample.c_str()), nullptr, "");
            if (again.code != SG_OK || again.body.sha256 != whole.body.sha256) ++differ;
        });
        probe.expect(differ == 0, "gives something else when several threads ask");
    });
}

}  // namespace conformance
