#include "registry/http.hpp"

#include <singularity/text.hpp>
#include <singularity/transport.h>

namespace registry {

Answer::~Answer() {
    if (raw_) table_->close(raw_);
}

unsigned Answer::status() const { return table_->status(raw_); }

std::string Answer::header(const char* name) const {
    const char* value = table_->header(raw_, name, 0);
    return value ? value : "";
}

std::vector<std::string> Answer::headers(const char* name) const {
    std::vector<std::string> out;
    while (out.size() < 64) {
        const char* value = table_->header(raw_, name, out.size());
        if (!value) break;
        out.emplace_back(value);
    }
    return out;
}

std::string Answer::url() const {
    const char* url = table_->url(raw_);
    return url ? url : "";
}

uint64_t Answer::size() const { return table_->size(raw_); }

std::unique_ptr<Stream> Answer::body() {
    sg_stream* stream = nullptr;
    singularity::check([&](sg_error* e) { return table_->body(raw_, &stream, e); });
    return std::make_unique<singularity::ForeignStream>(stream);
}

std::string Answer::text(uint64_t limit, const std::string& what) {
    if (size() != SG_SIZE_UNKNOWN && size() > limit)
        throw Error(Code::limit, what + " is larger than the limit of " + std::to_string(limit) + " bytes");
    const auto stream = body();
    return singularity::read_all(*stream, limit, what);
}

Answer send(const Request& request, const Host& host) {
    const std::string scheme = request.url.substr(0, request.url.find(':'));
    const auto& finder = singularity::detail::need_table<sg_host_transport_v1>("transport");
    const sg_transport_v1* table = nullptr;
    singularity::check([&](sg_error* e) { return finder.find(scheme.c_str(), &table, e); });

    std::vector<sg_header> headers;
    for (const Header& h : request.headers) headers.push_back({h.name.c_str(), h.value.c_str(), h.secret ? 1 : 0});
    headers.push_back({nullptr, nullptr, 0});
    sg_request r{};
    r.method = request.method.c_str();
    r.url = request.url.c_str();
    r.headers = headers.data();
    r.body = request.body ? singularity::to_c(request.body()) : nullptr;
    r.body_size = request.body_size;
    r.range_begin = request.range_begin;
    r.range_end = SG_SIZE_UNKNOWN;
    r.max_redirects = request.max_redirects;
    r.tls.verify = request.verify_tls ? 1 : 0;
    sg_response* raw = nullptr;
    singularity::check([&](sg_error* e) { return table->send(&r, host.call(), &raw, e); });
    return {table, raw};
}

std::unique_ptr<Stream> stream_text(std::string bytes) { return std::make_unique<singularity::TextStream>(std::move(bytes)); }

}  // namespace registry
