#include "family/decompress.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sources {
namespace {
constexpr size_t input_step = 1 << 20;

// From where the descriptor stands to its end.
class DescriptorStream final : public Stream {
public:
    DescriptorStream(Fd fd, std::string where)
        : fd_(std::move(fd)), where_(std::move(where)), buffer_(std::make_unique_for_overwrite<char[]>(input_step)) {}
    Slice next() override {
        for (;;) {
            const ssize_t n = ::read(fd_.get(), buffer_.get(), input_step);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno("cannot read", where_);
            return Slice::borrowed(buffer_.get(), static_cast<uint64_t>(n));
        }
    }

private:
    Fd fd_;
    std::string where_;
    std::unique_ptr<char[]> buffer_;
};

}  // namespace

DecompressedInput::DecompressedInput(Fd fd, std::string where)
    : DecompressedInput(std::make_unique<DescriptorStream>(std::move(fd), where), where) {}

DecompressedInput::DecompressedInput(std::unique_ptr<Stream> bytes, std::string where)
    : bytes_(std::move(bytes)), where_(std::move(where)), archive_(::archive_read_new()) {
    if (!archive_) throw std::bad_alloc();
    ::archive_read_support_filter_gzip(archive_);
    ::archive_read_support_filter_xz(archive_);
    ::archive_read_support_filter_lzma(archive_);
    ::archive_read_support_filter_zstd(archive_);
    ::archive_read_support_filter_bzip2(archive_);
    ::archive_read_support_filter_lz4(archive_);
    ::archive_read_support_format_raw(archive_);
    ::archive_read_support_format_empty(archive_);
}

DecompressedInput::~DecompressedInput() { ::archive_read_free(archive_); }

void DecompressedInput::fail(const char* doing) {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    const char* why = ::archive_error_string(archive_);
    throw Error(
        Code::corrupt,
        where_ + " is damaged or truncated: " + std::string(doing) + (why ? std::string(": ") + why : std::string()),
        "Copy or download the archive again.");
}

bool DecompressedInput::refill() {
    if (ended_) return false;
    if (!opened_) {
        opened_ = true;
        const auto read = [](struct archive*, void* self_, const void** out) -> la_ssize_t {
            auto& self = *static_cast<DecompressedInput*>(self_);
            try {
                self.host_.poll();
                self.last_ = self.bytes_->next();
                if (self.last_.is_hole()) throw Error(Code::internal, "a hole in " + self.where_);
                *out = self.last_.data();
                return static_cast<la_ssize_t>(self.last_.size());
            } catch (...) {
                self.failure_ = std::current_exception();
                ::archive_set_error(self.archive_, EIO, "read failed");
                return -1;
            }
        };
        if (::archive_read_open(archive_, this, nullptr, read, nullptr) != ARCHIVE_OK)
            fail("cannot begin to decompress it");
        archive_entry* entry = nullptr;
        const int rc = ::archive_read_next_header(archive_, &entry);
        if (rc == ARCHIVE_EOF) {
            ended_ = true;
            return false;
        }
        if (rc != ARCHIVE_OK) fail("cannot begin to decompress it");
    }
    for (;;) {
        const void* data = nullptr;
        size_t size = 0;
        la_int64_t offset = 0;
        const int rc = ::archive_read_data_block(archive_, &data, &size, &offset);
        if (rc == ARCHIVE_EOF) {
            ended_ = true;
            now_ = {};
            return false;
        }
        if (rc == ARCHIVE_RETRY) continue;
        if (rc != ARCHIVE_OK) fail("it cannot be decompressed");
        if (size == 0) continue;
        now_ = {static_cast<const char*>(data), size};
        return true;
    }
}

std::string_view DecompressedInput::available() {
    if (now_.empty()) refill();
    return now_;
}

std::string_view DecompressedInput::peek(uint64_t size) {
    size = std::min<uint64_t>(size, 64 << 10);
    if (now_.empty()) refill();
    while (now_.size() < size) {
        // The next block replaces this one: keep what is left of it.
        std::string joined(now_);
        now_ = {};
        const bool more = refill();
        if (more) joined += now_;
        carry_ = std::move(joined);
        now_ = carry_;
        if (!more) break;
    }
    return now_;
}

void DecompressedInput::take(uint64_t size) {
    now_.remove_prefix(size);
    position_ += size;
}

uint64_t DecompressedInput::read(char* to, uint64_t size) {
    uint64_t done = 0;
    while (done < size) {
        const std::string_view next = available();
        if (next.empty()) break;
        const uint64_t n = std::min<uint64_t>(next.size(), size - done);
        std::memcpy(to + done, next.data(), n);
        take(n);
        done += n;
    }
    return done;
}

uint64_t DecompressedInput::skip(uint64_t size) {
    uint64_t done = 0;
    while (done < size) {
        const std::string_view next = available();
        if (next.empty()) break;
        const uint64_t n = std::min<uint64_t>(next.size(), size - done);
        take(n);
        done += n;
    }
    return done;
}

}  // namespace sources
