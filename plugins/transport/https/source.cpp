#include "https/source.hpp"

#include <mutex>
#include <optional>
#include <singularity/sha2.hpp>
#include <singularity/transport.hpp>

#include "family/url.hpp"

namespace https {

using http::Url;
using singularity::Blob;
using singularity::Code;
using singularity::Error;
using singularity::ForeignResponse;
using singularity::Host;
using singularity::Identity;
using singularity::SourceSpec;
using singularity::Stream;

namespace {

Url url_of(const SourceSpec& spec) {
    // "https:host/path" and "https://host/path" come here alike.
    std::string rest = spec.reference;
    if (rest.starts_with("//")) rest.erase(0, 2);
    // "http:///path" names no host; its first folder is none either.
    if (rest.starts_with('/')) throw Error(Code::invalid, "the URL " + spec.scheme + ":" + spec.reference + " names no host");
    return Url::parse(spec.scheme + "://" + rest);
}

// With its user name and password, which the transport turns into a header.
std::string full(const Url& url) {
    return url.userinfo.empty() ? url.text() : url.scheme + "://" + url.userinfo + "@" + url.authority() + url.target;
}

// An answer that is no success, as an error. It names where the answer came from, which redirects may have changed.
[[noreturn]] void refuse(const Url& url, const ForeignResponse& answer) {
    const unsigned status = answer.status();
    const std::string what = http::shown_url(answer.url()) + ": ";
    switch (status) {
        case 404:
        case 410: throw Error(Code::not_found, what + "the requested image was not found (" + std::to_string(status) + ")");
        case 401:
            throw Error(Code::unauthorized, what + "the server wants a user name and a password (401)",
                        "They may stand in the URL: " + url.scheme + "://USER:PASSWORD@" + url.authority() + "/...");
        case 403: throw Error(Code::permission, what + "the server refuses it (403)");
        case 407: throw Error(Code::unauthorized, what + "the proxy wants a user name and a password (407)", "Write them into the proxy's URL: http://USER:PASSWORD@HOST:PORT.");
        case 429: {
            const std::string after = answer.header("Retry-After");
            throw Error(Code::limit, what + "too many requests (429)", after.empty() ? "Try again later." : "Try again later; the server says: " + after + ".");
        }
        default: throw Error(status >= 500 ? Code::network : Code::invalid, what + "the server answered " + std::to_string(status));
    }
}

// Keeps the answer for as long as its body is read.
class Download final : public Stream {
public:
    explicit Download(ForeignResponse answer) : answer_(std::move(answer)), body_(answer_.body()) {}
    ~Download() override { body_.reset(); }
    singularity::Slice next() override { return body_->next(); }

private:
    ForeignResponse answer_;
    std::unique_ptr<Stream> body_;
};

class File final : public singularity::BlobImage {
public:
    // Begins the download: its head says how large the file is.
    File(Url url, const Host& host) : url_(std::move(url)), first_(get(0, host)) {
        const std::string etag = first_->header("ETag");
        // A weak one ("W/...") does not promise equal bytes, which is what going on with a file asks for (RFC 9110, 13.1.5).
        version_ = !etag.empty() && etag[0] == '"' ? etag : first_->header("Last-Modified");
        size_ = first_->size();
        type_ = first_->header("Content-Type");
    }

    Blob blob() override { return {type_, "", "", size_, {}}; }

    std::unique_ptr<Stream> fetch(uint64_t offset, const Host& host) override {
        std::optional<ForeignResponse> answer;
        {
            const std::lock_guard lock(mutex_);
            if (offset == 0 && first_) {
                answer.emplace(std::move(*first_));
                first_.reset();
            }
        }
        if (!answer) answer.emplace(get(offset, host));
        return std::make_unique<Download>(std::move(*answer));
    }

private:
    ForeignResponse get(uint64_t offset, const Host& host) {
        const std::string text = full(url_);
        sg_request request = singularity::plain_request(text.c_str());
        request.range_begin = offset;
        const sg_header headers[] = {{"If-Range", version_.c_str(), 0}, {nullptr, nullptr, 0}};
        if (offset > 0 && !version_.empty()) request.headers = headers;
        ForeignResponse answer = singularity::send(host, url_.scheme.c_str(), request);
        if (answer.status() == 416) throw Error(Code::corrupt, url_.shown() + " is shorter than what was fetched of it before", "The file has changed meanwhile: begin anew.");
        if (answer.status() != 200 && answer.status() != 206) refuse(url_, answer);
        if (offset > 0 && answer.status() == 200)
            throw Error(Code::unsupported, url_.shown() + " has changed, or its server cannot go on in the middle: it must be fetched from the beginning");
        return answer;
    }

    Url url_;
    std::string version_, type_;
    uint64_t size_ = SG_SIZE_UNKNOWN;
    std::mutex mutex_;
    std::optional<ForeignResponse> first_;
};

}  // namespace

std::string default_name(const std::string& url) {
    std::string path = Url::parse(url).target;
    path.resize(std::min(path.find('?'), path.size()));
    while (path.ends_with('/')) path.pop_back();
    std::string name = path.substr(path.rfind('/') + 1);
    if (name.empty() || name == "." || name == "..") name = Url::parse(url).host;
    if (name.size() > 200) name.resize(200);
    return name;
}

Identity Source::resolve(const SourceSpec& spec, const Host& host) {
    const Url url = url_of(spec);
    Identity id;
    id.name = default_name(url.text());
    id.cache_area = "net";
    const std::string text = full(url);
    sg_request request = singularity::plain_request(text.c_str());
    request.method = "HEAD";
    const ForeignResponse answer = singularity::send(host, spec.scheme.c_str(), request);
    // Some servers (of signed URLs) know GET only: then nothing is known, and nothing kept.
    if (answer.status() == 405 || answer.status() == 501 || answer.status() == 403) return id;
    if (answer.status() != 200) refuse(url, answer);
    std::string version = answer.header("Last-Modified");
    if (version.empty()) version = answer.header("ETag");
    if (!version.empty()) id.key = singularity::digest_of(singularity::Digest::Algorithm::sha256, url.text() + version).hex();
    return id;
}

std::unique_ptr<singularity::Image> Source::open(const SourceSpec& spec, const Host& host) {
    return std::make_unique<File>(url_of(spec), host);
}

}  // namespace https
