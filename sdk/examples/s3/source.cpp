#include "source.hpp"

#include <algorithm>
#include <cctype>
#include <singularity/transport.hpp>

#include "address.hpp"

namespace s3 {

using namespace singularity;

namespace {

// The code that S3 writes into the body of a refusal: <Error><Code>NoSuchKey</Code>...
std::string code_of(ForeignResponse& answer) {
    const std::string text = read_all(*answer.body(), 64 << 10, "the answer");
    const size_t begin = text.find("<Code>"), end = text.find("</Code>");
    if (begin == std::string::npos || end == std::string::npos || end < begin + 6 || end - begin > 70) return {};
    const std::string code = text.substr(begin + 6, end - begin - 6);
    const bool word = std::all_of(code.begin(), code.end(), [](unsigned char c) { return std::isalnum(c); });
    return word ? code : "";
}

[[noreturn]] void refuse(const std::string& url, const std::string& method, ForeignResponse& answer) {
    const unsigned status = answer.status();
    const std::string code = method == "HEAD" ? "" : code_of(answer);
    const std::string shown = " (" + std::to_string(status) + (code.empty() ? "" : " " + code) + ")";
    if (status == 404) throw Error(Code::not_found, url + " does not exist" + shown);
    if (status == 401 || status == 403)
        throw Error(
            Code::unauthorized, url + ": the store refuses it" + shown,
            "Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; the machine's clock must be right as well.");
    throw Error(status >= 500 ? Code::network : Code::invalid, url + ": the store answered" + shown);
}

ForeignResponse ask(const char* method, const std::string& url, uint64_t offset, const std::string& version,
                    const Host& host) {
    sg_request request = plain_request(url.c_str());
    request.method = method;
    request.range_begin = offset;
    const sg_header same[] = {{"If-Match", version.c_str(), 0}, {nullptr, nullptr, 0}};
    if (!version.empty()) request.headers = same;
    ForeignResponse answer = send(host, "s3", request);
    if (answer.status() == 412) throw Error(Code::corrupt, url + " has changed since it was asked for", "Begin anew.");
    if (answer.status() != 200 && answer.status() != 206) refuse(url, method, answer);
    return answer;
}

// Keeps the answer for as long as its body is read.
class Download final : public Stream {
public:
    explicit Download(ForeignResponse answer) : answer_(std::move(answer)), body_(answer_.body()) {}
    ~Download() override { body_.reset(); }
    Slice next() override { return body_->next(); }

private:
    ForeignResponse answer_;
    std::unique_ptr<Stream> body_;
};

class ObjectImage final : public BlobImage {
public:
    ObjectImage(std::string url, const Host& host) : url_(std::move(url)) {
        const ForeignResponse head = ask("HEAD", url_, 0, "", host);
        version_ = head.header("ETag");
        size_ = head.size();
    }
    Blob blob() override { return {"application/octet-stream", "", "", size_, {}}; }
    // From the middle as well: a broken download goes on where it stopped, of the very same object.
    std::unique_ptr<Stream> fetch(uint64_t offset, const Host& host) override {
        return std::make_unique<Download>(ask("GET", url_, offset, version_, host));
    }

private:
    std::string url_, version_;
    uint64_t size_ = SG_SIZE_UNKNOWN;
};

std::string url_of(const SourceSpec& spec) {
    const Object object = Object::parse(spec.reference);
    return "s3://" + object.bucket + "/" + object.key;
}

}  // namespace

Identity Source::resolve(const SourceSpec& spec, const Host& host) {
    const std::string url = url_of(spec);
    const ForeignResponse head = ask("HEAD", url, 0, "", host);
    Identity id;
    id.name = url.substr(url.rfind('/') + 1);
    if (id.name.empty() || id.name == "." || id.name == ".." || id.name.size() > 200) id.name = "image.sif";
    // An object of S3 is replaced as a whole, and its ETag with it. Equal names in another store are other objects.
    const std::string etag = head.header("ETag");
    const Store store = Store::of(host);
    const std::string key = place_of(Object::parse(url), store).url() + " " + etag;
    if (!etag.empty() && key.size() < sizeof(sg_identity::key)) id.key = key;
    id.cache_area = "s3";
    return id;
}

std::unique_ptr<Image> Source::open(const SourceSpec& spec, const Host& host) {
    return std::make_unique<ObjectImage>(url_of(spec), host);
}

}  // namespace s3
