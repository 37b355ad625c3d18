// Bytes of a server: an answer's head and body, and a Location from it.
#include <algorithm>
#include <cstring>

#include "family/body.hpp"
#include "family/url.hpp"

namespace {

// Gives its bytes in pieces whose sizes the bytes themselves decide, so that each seam is met.
class Fed final : public http::Channel {
public:
    Fed(const uint8_t* data, size_t size) : data_(data), size_(size) {}
    int fd() const override { return -1; }
    Result read(char* to, size_t size) override {
        if (at_ == size_) return {Did::end, 0};
        const size_t n = std::min({size, size_ - at_, static_cast<size_t>(data_[at_] & 63) + 1});
        std::memcpy(to, data_ + at_, n);
        at_ += n;
        return {Did::some, n};
    }
    Result write(const char*, size_t size) override { return {Did::some, size}; }

private:
    const uint8_t* data_;
    size_t size_, at_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        http::Wait wait(http::Host(nullptr), {}, "fuzz", "it");
        auto connection = std::make_unique<http::Connection>(std::make_unique<Fed>(data, size));
        const http::ResponseHead head = connection->read_head(wait);
        const http::Framing framing = head.framing("GET");
        if (const std::string* location = http::find_field(head.fields, "Location")) {
            try {
                http::Url::parse("https://host/a/b?c").resolve(*location).text();
            } catch (const singularity::Error&) {
            }
        }
        http::Body body(std::move(connection), framing, "", wait);
        char buffer[777];
        uint64_t got = 0;
        while (const size_t n = body.read(buffer, sizeof buffer, http::Connection::Patience::wait)) got += n;
        // A body with a length is whole, or an error.
        if (framing.kind == http::Framing::Kind::length && got != framing.length) __builtin_trap();
    } catch (const singularity::Error&) {
    }
    return 0;
}
