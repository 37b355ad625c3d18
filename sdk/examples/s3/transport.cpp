// The transport of s3://BUCKET/KEY: it signs the request and hands it to the host's transport for http or https. So
// proxies, certificates, time-outs and cancelling are those of every other transfer, and no socket is opened here.
#include <cstdlib>
#include <singularity/transport.hpp>

#include "address.hpp"
#include "sigv4.hpp"
#include "source.hpp"

namespace {

using namespace singularity;

// The usual variables, else what the host keeps for the endpoint; nullopt: the request goes unsigned, for public
// buckets.
std::optional<s3::Keys> find_keys(const s3::Place& place, const s3::Object& object, const Host& host) {
    const auto variable = [](const char* name) {
        const char* value = std::getenv(name);
        return std::string(value ? value : "");
    };
    s3::Keys keys{variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"), variable("AWS_SESSION_TOKEN")};
    if (!keys.id.empty() && !keys.secret.empty()) return keys;
    if (const auto kept = host.credentials(place.authority + "/" + object.bucket); kept && !kept->user.empty())
        return s3::Keys{kept->user, kept->secret, ""};
    return std::nullopt;
}

std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

// The answer to what was sent in our name; the caller sees the URL that it asked for.
class Answer final : public Response {
public:
    Answer(ForeignResponse below, std::string url) : below_(std::move(below)), url_(std::move(url)) {}
    unsigned status() const override { return below_.status(); }
    const char* header(const char* name, uint64_t i) const override { return below_.header(name, i); }
    const char* url() const override { return url_.c_str(); }
    uint64_t size() const override { return below_.size(); }
    std::unique_ptr<Stream> body() override { return below_.body(); }

private:
    ForeignResponse below_;
    std::string url_;
};

// A transport closes the body that it is given, whatever becomes of the request.
struct Body {
    sg_stream* stream;
    ~Body() {
        if (stream) stream->close(stream);
    }
};

class S3 final : public Transport {
public:
    std::unique_ptr<Response> send(const sg_request& asked, const Host& host) override {
        Body body{asked.body};
        const s3::Object object = s3::Object::parse(asked.url);
        const s3::Store store = s3::Store::of(host);
        const s3::Place place = s3::place_of(object, store);

        std::vector<Header> headers;
        for (const sg_header* h = asked.headers; h && h->name; ++h)
            headers.push_back({h->name, h->value, h->secret != 0});
        if (const auto keys = find_keys(place, object, host)) sign(headers, asked, *keys, place, store);

        std::vector<sg_header> raw;
        for (const Header& h : headers) raw.push_back({h.name.c_str(), h.value.c_str(), h.secret});
        raw.push_back({nullptr, nullptr, 0});
        const std::string url = place.url();
        sg_request request = asked;  // range, body, time-outs and TLS as they are
        request.url = url.c_str();
        request.headers = raw.data();
        request.max_redirects = 0;  // a signature holds for one host
        body.stream = nullptr;      // from here on it is the other transport's
        ForeignResponse answer = singularity::send(host, place.scheme.c_str(), request);
        if (answer.status() >= 300 && answer.status() < 400 && answer.status() != 304) {
            const std::string region = answer.header("x-amz-bucket-region");
            throw Error(
                Code::invalid, std::string(asked.url) + " is not in the region '" + store.region + "'",
                region.empty() ? "Set AWS_REGION to the region of its bucket." : "Set AWS_REGION=" + region + ".");
        }
        return std::make_unique<Answer>(std::move(answer), asked.url);
    }

private:
    struct Header {
        std::string name, value;
        bool secret;
    };

    static void sign(std::vector<Header>& headers, const sg_request& asked, const s3::Keys& keys,
                     const s3::Place& place, const s3::Store& store) {
        const std::time_t now = std::time(nullptr);
        s3::Signed request{asked.method,
                           place.path,
                           {},
                           {{"host", place.authority}},
                           std::string(asked.body ? "UNSIGNED-PAYLOAD" : s3::empty_payload)};
        headers.push_back({"x-amz-content-sha256", request.payload, false});
        headers.push_back({"x-amz-date", s3::timestamp(now), false});
        if (!keys.token.empty()) headers.push_back({"x-amz-security-token", keys.token, true});
        for (const Header& h : headers)
            if (lower(h.name).starts_with("x-amz-")) request.headers[lower(h.name)] = h.value;
        headers.push_back({"Authorization", s3::authorization(request, keys, store.region, "s3", now), true});
    }
};

}  // namespace

SINGULARITY_PLUGIN(s3, S3, s3::Source)
