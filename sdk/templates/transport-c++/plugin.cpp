// @NAME@:TEXT is answered with TEXT: the least that a transport does.
#include <algorithm>
#include <singularity/transport.hpp>

namespace {

using namespace singularity;

class Answer final : public Stream {
public:
    explicit Answer(std::string text) : text_(std::make_shared<const std::string>(std::move(text))) {}
    // The bytes once, then the end. A long one polls the host for cancel and gives pieces of 64 KiB to 1 MiB.
    Slice next() override {
        const size_t size = std::exchange(left_, 0);
        return Slice::owned(text_, reinterpret_cast<const uint8_t*>(text_->data()), size);
    }

private:
    std::shared_ptr<const std::string> text_;
    size_t left_ = text_->size();
};

class TextResponse final : public Response {
public:
    TextResponse(unsigned status, std::string url, std::string text) : status_(status), url_(std::move(url)), text_(std::move(text)) {}
    unsigned status() const override { return status_; }
    const char* url() const override { return url_.c_str(); }
    uint64_t size() const override { return text_.size(); }
    std::unique_ptr<Stream> body() override { return std::make_unique<Answer>(text_); }

private:
    unsigned status_;
    std::string url_, text_;
};

class Text final : public Transport {
public:
    std::unique_ptr<Response> send(const sg_request& request, const Host&) override {
        const ForeignStream body(request.body);  // a transport closes what it is given to send
        if (std::string_view(request.method) != "GET") throw Error(Code::unsupported, "@NAME@: only GET is possible");
        const std::string url = request.url, text = url.substr(url.find(':') + 1);
        const uint64_t end = std::min<uint64_t>(request.range_end, text.size()), begin = std::min(request.range_begin, end);
        const bool whole = begin == 0 && end == text.size();
        return std::make_unique<TextResponse>(whole ? 200 : 206, url, text.substr(begin, end - begin));
    }
};

}  // namespace

// clang-format off
SINGULARITY_PLUGIN(@NAME@, Text)
