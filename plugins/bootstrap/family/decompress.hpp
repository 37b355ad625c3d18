// A whole archive that is compressed (gzip, xz, zstd, bzip2, lz4) or comes through a pipe or from a server: bytes in their
// order, once, by libarchive's filters. What is not compressed passes through.
#pragma once
#include <exception>
#include <memory>
#include <string_view>

#include "family/files.hpp"
#include "family/tar_reader.hpp"

struct archive;

namespace sources {

class DecompressedInput final : public TarInput {
public:
    // Reads `fd` from where it stands, or the stream. Throws Code::corrupt when the compressed data is damaged.
    DecompressedInput(Fd fd, std::string where);
    DecompressedInput(std::unique_ptr<Stream> bytes, std::string where);
    ~DecompressedInput() override;
    DecompressedInput(const DecompressedInput&) = delete;
    DecompressedInput& operator=(const DecompressedInput&) = delete;

    // Under which call the following reads happen (cancel).
    void set_host(const Host& host) { host_ = host; }

    uint64_t read(char* to, uint64_t size) override;
    uint64_t skip(uint64_t size) override;
    uint64_t position() const override { return position_; }

    // The bytes that come next, at least one unless the end is reached; they live until the next call of anything but
    // `take` and `position`.
    std::string_view available();
    // The same, with at least `size` bytes (at most 64 KiB) unless the end comes first.
    std::string_view peek(uint64_t size);
    void take(uint64_t size);

private:
    bool refill();
    [[noreturn]] void fail(const char* doing);

    std::unique_ptr<Stream> bytes_;
    Slice last_;  // libarchive reads it until it asks for the next
    std::string where_;
    Host host_;
    struct archive* archive_ = nullptr;
    std::string carry_;  // bytes put together for peek
    std::string_view now_;
    uint64_t position_ = 0;
    bool opened_ = false, ended_ = false;
    std::exception_ptr failure_;  // of a read inside libarchive
};

}  // namespace sources
