// SPDX-License-Identifier: BSD-3-Clause
// transport.hpp: write, or use, a transport in C++ (contracts: transport.h).
#pragma once
#include <singularity/transport.h>

#include <functional>
#include <singularity/plugin.hpp>

namespace singularity {

// A request's body that tells up to where in the whole it has been read; `offset` is where it begins there.
class CountedStream final : public Stream {
public:
    CountedStream(std::unique_ptr<Stream> from, uint64_t offset, std::function<void(uint64_t at)> moved)
        : from_(std::move(from)), at_(offset), moved_(std::move(moved)) {}
    Slice next() override {
        Slice s = from_->next();
        at_ += s.size();
        moved_(at_);
        return s;
    }

private:
    std::unique_ptr<Stream> from_;
    uint64_t at_;
    std::function<void(uint64_t)> moved_;
};

class Response {
public:
    virtual ~Response() = default;
    virtual unsigned status() const { return 200; }
    virtual const char* header(const char*, uint64_t) const { return nullptr; }
    virtual const char* url() const = 0;
    virtual uint64_t size() const { return SG_SIZE_UNKNOWN; }
    virtual std::unique_ptr<Stream> body() = 0;
};

class Transport {
public:
    virtual ~Transport() = default;
    virtual std::unique_ptr<Response> send(const sg_request& request, const Host& host) = 0;
};

// A two-way stream; closed by its destructor.
class Duplex {
public:
    virtual ~Duplex() = default;
    virtual uint64_t read(void* data, uint64_t capacity) = 0;  // at least one byte; 0 at the end
    virtual void write(const void* data, uint64_t size) = 0;   // all of it
};

// A class of its own beside the transport's: SINGULARITY_PLUGIN(name, MyTransport, MyUpgrade).
class Upgrade {
public:
    virtual ~Upgrade() = default;
    virtual std::unique_ptr<Duplex> open(const sg_request& request, const std::string& protocol, const Host& host) = 0;
};

// The answer to a request made through the host's transport for a scheme.
class ForeignResponse {
public:
    ForeignResponse(const sg_transport_v1* table, sg_response* raw) : table_(table), raw_(raw) {}
    ForeignResponse(ForeignResponse&& o) noexcept : table_(o.table_), raw_(std::exchange(o.raw_, nullptr)) {}
    ForeignResponse& operator=(ForeignResponse&&) = delete;
    ~ForeignResponse() {
        if (raw_) table_->close(raw_);
    }
    unsigned status() const { return table_->status(raw_); }
    std::string header(const char* name) const {
        const char* v = table_->header(raw_, name, 0);
        return v ? v : "";
    }
    // The i-th of that name, or null; lives as long as this.
    const char* header(const char* name, uint64_t i) const { return table_->header(raw_, name, i); }
    std::string url() const { return table_->url(raw_); }
    const char* c_url() const { return table_->url(raw_); }  // lives as long as this
    uint64_t size() const { return table_->size(raw_); }
    std::unique_ptr<Stream> body() {
        sg_stream* s = nullptr;
        check([&](sg_error* e) { return table_->body(raw_, &s, e); });
        return std::make_unique<ForeignStream>(s);
    }

private:
    const sg_transport_v1* table_;
    sg_response* raw_;
};

// A request with every default: GET, the whole, the configured time-outs.
inline sg_request plain_request(const char* url) {
    sg_request r{};
    r.method = "GET";
    r.url = url;
    r.range_end = SG_SIZE_UNKNOWN;
    r.max_redirects = 10;
    r.tls.verify = 1;
    return r;
}

namespace detail {

// Who hands over a request hands over its body, also when there is nobody to take it.
template <class Find>
auto transport_for(const sg_request& request, const Find& find) {
    try {
        return find();
    } catch (...) {
        if (request.body) request.body->close(request.body);
        throw;
    }
}

inline ForeignResponse sent(const sg_transport_v1* table, const sg_request& request, const Host& host) {
    sg_response* raw = nullptr;
    check([&](sg_error* e) { return table->send(&request, host.call(), &raw, e); });
    return ForeignResponse(table, raw);
}

// The table of that name and version for `scheme`, of what stands below `plugin` ("": of all).
template <class T>
const T* transport_table(const sg_request& request, const char* scheme, const char* plugin, const char* name) {
    return transport_for(request, [&] {
        const auto& finder = need_table<sg_host_transport_v2>("transport", 2);
        const void* found = nullptr;
        check([&](sg_error* e) {
            return *plugin ? finder.find_below(scheme, plugin, name, 1, &found, e)
                           : finder.find(scheme, name, 1, &found, e);
        });
        return static_cast<const T*>(found);
    });
}

}  // namespace detail

// Sends through the transport that `plugin` (the caller's own name) stands in front of for `scheme`.
inline ForeignResponse send_below(const Host& host, const char* scheme, const char* plugin, const sg_request& request) {
    return detail::sent(detail::transport_table<sg_transport_v1>(request, scheme, plugin, "transport"), request, host);
}

// A two-way stream opened by the transport for a scheme.
class ForeignDuplex final : public Duplex {
public:
    ForeignDuplex(const sg_upgrade_v1* table, sg_duplex* raw) : table_(table), raw_(raw) {}
    ForeignDuplex(const ForeignDuplex&) = delete;
    ForeignDuplex& operator=(const ForeignDuplex&) = delete;
    ~ForeignDuplex() override { table_->close(raw_); }
    uint64_t read(void* data, uint64_t capacity) override {
        uint64_t got = 0;
        check([&](sg_error* e) { return table_->read(raw_, data, capacity, &got, e); });
        return got;
    }
    void write(const void* data, uint64_t size) override {
        check([&](sg_error* e) { return table_->write(raw_, data, size, e); });
    }

private:
    const sg_upgrade_v1* table_;
    sg_duplex* raw_;
};

// Throws Code::unsupported when that transport cannot do it.
inline std::unique_ptr<Duplex> upgrade(const Host& host, const char* scheme, const sg_request& request,
                                       const char* protocol) {
    const auto* table = detail::transport_table<sg_upgrade_v1>(request, scheme, "", "upgrade");
    sg_duplex* raw = nullptr;
    check([&](sg_error* e) { return table->open(&request, protocol, host.call(), &raw, e); });
    return std::make_unique<ForeignDuplex>(table, raw);
}

inline ForeignResponse send(const Host& host, const char* scheme, const sg_request& request) {
    const auto* table = detail::transport_for(request, [&] {
        const auto& finder = detail::need_table<sg_host_transport_v1>("transport");
        const sg_transport_v1* found = nullptr;
        check([&](sg_error* e) { return finder.find(scheme, &found, e); });
        return found;
    });
    return detail::sent(table, request, host);
}

}  // namespace singularity

namespace singularity::detail {

template <class T>
requires std::is_base_of_v<Transport, T>
struct TableOf<T> {
    static const void* find(std::string_view table, uint32_t version) {
        static T object;
        static Transport& self = object;
        static const auto of = [](const sg_response* r) -> Response& {
            return *reinterpret_cast<Response*>(const_cast<sg_response*>(r));
        };
        static const sg_transport_v1 functions = {
            [](const sg_request* request, const sg_call* call, sg_response** out, sg_error* err) {
                if (request->body && !request->method) return fill(err, Code::invalid, "a request without a method");
                return guard(err,
                             [&] { *out = reinterpret_cast<sg_response*>(self.send(*request, Host(call)).release()); });
            },
            [](const sg_response* r) -> uint32_t { return of(r).status(); },
            [](const sg_response* r, const char* name, uint64_t i) { return of(r).header(name, i); },
            [](const sg_response* r) { return of(r).url(); },
            [](const sg_response* r) { return of(r).size(); },
            [](sg_response* r, sg_stream** out, sg_error* err) {
                return guard(err, [&] { *out = to_c(of(r).body()); });
            },
            [](sg_response* r) { delete &of(r); }};
        return table == "transport" && version == 1 ? &functions : nullptr;
    }
};

template <class T>
requires std::is_base_of_v<Upgrade, T>
struct TableOf<T> {
    static const void* find(std::string_view table, uint32_t version) {
        static T object;
        static Upgrade& self = object;
        static const auto of = [](sg_duplex* d) -> Duplex& { return *reinterpret_cast<Duplex*>(d); };
        static const sg_upgrade_v1 functions = {
            [](const sg_request* request, const char* protocol, const sg_call* call, sg_duplex** out, sg_error* err) {
                return guard(err, [&] {
                    *out = reinterpret_cast<sg_duplex*>(
                        self.open(*request, protocol ? protocol : "", Host(call)).release());
                });
            },
            [](sg_duplex* d, void* data, uint64_t capacity, uint64_t* got, sg_error* err) {
                return guard(err, [&] { *got = of(d).read(data, capacity); });
            },
            [](sg_duplex* d, const void* data, uint64_t size, sg_error* err) {
                return guard(err, [&] { of(d).write(data, size); });
            },
            [](sg_duplex* d) { delete &of(d); }};
        return table == "upgrade" && version == 1 ? &functions : nullptr;
    }
};

}  // namespace singularity::detail
