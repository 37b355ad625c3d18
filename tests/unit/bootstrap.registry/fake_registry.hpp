// A host with a transport of the test's own: a function answers each request, and all that was asked is kept. No
// socket, no waiting: the clock is the test's too.
#pragma once
#include <singularity/host.h>

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <singularity/transport.hpp>
#include <string>
#include <vector>

#include "bootstrap.family/source_fixture.hpp"

namespace fake {

using singularity::Code;
using singularity::Error;
using singularity::Host;

struct Seen {
    std::string method, url, body;
    std::vector<std::pair<std::string, std::string>> headers;
    std::vector<std::string> secret;  // names of headers that were marked so
    uint64_t range_begin = 0;
    bool verify = true;

    std::string header(const std::string& name) const {
        for (const auto& [k, v] : headers)
            if (k == name) return v;
        return {};
    }
    bool is_secret(const std::string& name) const {
        return std::find(secret.begin(), secret.end(), name) != secret.end();
    }
    std::string path() const { return url.substr(url.find('/', url.find("://") + 3)); }
};

struct Reply {
    unsigned status = 200;
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
    std::optional<uint64_t> breaks_after = {};  // bytes of the body, then the connection is gone
    std::optional<uint64_t> announced = {};     // another size than the body has
};

inline Error broken(int sys_errno = ECONNRESET) {
    return Error(Code::network, "the connection broke").because(sys_errno);
}

class Body final : public singularity::Stream {
public:
    explicit Body(Reply reply) : reply_(std::move(reply)) {}
    singularity::Slice next() override {
        const uint64_t end = std::min<uint64_t>(reply_.breaks_after.value_or(UINT64_MAX), reply_.body.size());
        if (at_ == end) {
            if (reply_.breaks_after) throw broken();
            return {};
        }
        const uint64_t n = std::min<uint64_t>(end - at_, 65536), from = at_;
        at_ += n;
        return singularity::Slice::borrowed(reply_.body.data() + from, n);
    }

private:
    Reply reply_;
    uint64_t at_ = 0;
};

class FakeResponse final : public singularity::Response {
public:
    FakeResponse(Reply reply, std::string url) : reply_(std::move(reply)), url_(std::move(url)) {}
    unsigned status() const override { return reply_.status; }
    const char* header(const char* name, uint64_t i) const override {
        for (const auto& [k, v] : reply_.headers)
            if (::strcasecmp(k.c_str(), name) == 0 && i-- == 0) return v.c_str();
        return nullptr;
    }
    const char* url() const override { return url_.c_str(); }
    uint64_t size() const override { return reply_.announced.value_or(reply_.body.size()); }
    std::unique_ptr<singularity::Stream> body() override { return std::make_unique<Body>(reply_); }

private:
    Reply reply_;
    std::string url_;
};

// What the test answers with, and what was asked.
inline std::mutex mutex;
inline std::function<Reply(const Seen&)> answer;
inline std::vector<Seen> seen;
// The host's credentials: by server; and what somebody types.
inline std::map<std::string, sg_credentials> credentials;
inline std::vector<std::string> looked_up;  // "SERVER" or "SERVER in FILE"
inline std::optional<sg_credentials> typed;

class FakeTransport final : public singularity::Transport {
public:
    std::unique_ptr<singularity::Response> send(const sg_request& r, const Host&) override {
        Seen s{r.method, r.url, {}, {}, {}, r.range_begin, r.tls.verify != 0};
        for (const sg_header* h = r.headers; h && h->name; ++h) {
            s.headers.emplace_back(h->name, h->value);
            if (h->secret) s.secret.emplace_back(h->name);
        }
        if (r.body) s.body = fixture::drain(r.body);
        {
            const std::lock_guard lock(mutex);
            seen.push_back(s);
        }
        return std::make_unique<FakeResponse>(answer(s), r.url);
    }
};

inline sg_credentials who(const std::string& user, const std::string& secret, const std::string& identity = {}) {
    sg_credentials c{};
    singularity::detail::copy_text(c.user, user);
    singularity::detail::copy_text(c.secret, secret);
    singularity::detail::copy_text(c.identity, identity);
    singularity::detail::copy_text(c.origin, "the test");
    return c;
}

inline const void* tables(const char* name, uint32_t version) {
    static const sg_host_transport_v1 transport = {[](const char* scheme, const sg_transport_v1** out, sg_error* err) -> int32_t {
        if (std::string_view(scheme) != "http" && std::string_view(scheme) != "https")
            return singularity::fill(err, Code::unsupported, std::string("no transport for ") + scheme);
        *out = static_cast<const sg_transport_v1*>(singularity::detail::TableOf<FakeTransport>::find("transport", 1));
        return SG_OK;
    }};
    static const sg_host_credentials_v2 accounts = {
        [](const char* server, const char* file, sg_credentials* out, sg_error* err) -> int32_t {
            looked_up.push_back(std::string(server) + (file ? std::string(" in ") + file : std::string()));
            const auto it = credentials.find(server);
            if (it == credentials.end()) return singularity::fill(err, Code::not_found, "none");
            *out = it->second;
            return SG_OK;
        },
        [](const char*, const char* user, const char* secret, sg_credentials* out, sg_error* err) -> int32_t {
            looked_up.push_back(std::string("asked: ") + user + "| " + secret);
            if (!typed) return singularity::fill(err, Code::not_found, "no terminal");
            *out = *typed;
            return SG_OK;
        },
        nullptr, nullptr, nullptr};
    if (std::string_view(name) == "transport" && version == 1) return &transport;
    if (std::string_view(name) == "credentials" && version == 2) return &accounts;
    return nullptr;
}

// A world without anything in it; each case begins with one.
struct World {
    World() {
        static const sg_host host = {SG_ABI_VERSION, "4.0.0", fixture::host_table};
        singularity::detail::the_host = &host;
        fixture::more_tables = tables;
        fixture::log_lines.clear();
        fixture::cancel_flag = 0;
        seen.clear();
        credentials.clear();
        looked_up.clear();
        typed.reset();
        answer = [](const Seen&) -> Reply { return {404, "", {}}; };
        ::unsetenv("DOCKER_USERNAME");
        ::unsetenv("DOCKER_PASSWORD");
        ::setenv("CONTAINERS_REGISTRIES_CONF", "/dev/null", 1);
        ::setenv("HOME", "/nonexistent", 1);
        ::unsetenv("XDG_CONFIG_HOME");
    }
    Host host{fixture::a_call()};
    size_t count(const std::string& method) const {
        return static_cast<size_t>(std::count_if(seen.begin(), seen.end(), [&](const Seen& s) { return s.method == method; }));
    }
    // Nothing of `secret` in any log line.
    bool silent_about(const std::string& secret) const {
        for (const std::string& l : fixture::log_lines)
            if (l.find(secret) != std::string::npos) return false;
        return true;
    }
};

}  // namespace fake
