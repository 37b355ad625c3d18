#include "library/head_check.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <singularity/image.hpp>

namespace library {

using singularity::Code;
using singularity::Error;
using singularity::ForeignImage;
using singularity::Host;
using singularity::Slice;
using singularity::Stream;

namespace {

// Header and descriptors lie at the beginning; tools write room for 48 of these, and Singularity 3.0 for more.
constexpr size_t enough = 128 << 10;

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { ::close(fd_); }
    int get() const { return fd_; }

private:
    int fd_;
};

class Checked final : public Stream {
public:
    Checked(std::unique_ptr<Stream> from, uint64_t size, std::string shown, const Host& host)
        : from_(std::move(from)), size_(size), shown_(std::move(shown)), host_(host) {}
    Slice next() override {
        Slice slice = from_->next();
        if (!checked_) {
            if (slice.is_hole())
                head_.append(std::min<uint64_t>(enough - head_.size(), slice.size()), '\0');
            else
                head_.append(slice.text().substr(0, enough - head_.size()));
            if (slice.size() == 0 || head_.size() >= enough) check();
        }
        return slice;
    }

private:
    // The format's own reader looks at the head in a file as long as the image.
    void check() {
        checked_ = true;
        try {
            const Descriptor file(host_.temporary_file());
            for (size_t done = 0; done < head_.size();) {
                const ssize_t n = ::write(file.get(), head_.data() + done, head_.size() - done);
                if (n < 0 && errno == EINTR) continue;
                if (n <= 0) return;
                done += static_cast<size_t>(n);
            }
            if (size_ != SG_SIZE_UNKNOWN && ::ftruncate(file.get(), static_cast<off_t>(size_)) != 0) return;
            const ForeignImage image("/proc/self/fd/" + std::to_string(file.get()), false);
            if (!image.has_parts()) return;
            const auto parts = image.parts();
            if (std::none_of(parts.begin(), parts.end(), [](const auto& p) { return p.type == "signature"; }))
                host_.warn("Skipping container verification: " + shown_ + " is not signed, so nobody vouches for it");
        } catch (const Error& e) {
            if (e.code() == Code::cancelled) throw;
            host_.debug(e.message());
        }
        head_ = {};
    }

    std::unique_ptr<Stream> from_;
    const uint64_t size_;
    const std::string shown_;
    const Host host_;
    std::string head_;
    bool checked_ = false;
};

}  // namespace

std::unique_ptr<Stream> warn_if_unsigned(std::unique_ptr<Stream> from, uint64_t size, std::string shown,
                                         const Host& host) {
    return std::make_unique<Checked>(std::move(from), size, std::move(shown), host);
}

ImageFacts facts_of(const std::string& path) {
    const ForeignImage image(path, false);
    if (!image.has_parts())
        throw Error(Code::invalid, "\"" + path + "\" is not a SIF", "Make one: singularity build x.sif " + path);
    ImageFacts facts;
    for (const auto& part : image.parts()) {
        if (part.type == "signature") facts.is_signed = true;
        if (part.type == "partition" && part.attribute("part") == "*System" && part.attribute("arch") != "unknown")
            facts.arch = part.attribute("arch");
    }
    return facts;
}

}  // namespace library
