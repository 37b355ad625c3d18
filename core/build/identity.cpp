#include "build/identity.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "image/time.hpp"
#include "store/sha256.hpp"

namespace sg {

namespace {

// Version 5 of the DNS name space for "singularity": fixed for ever, or equal builds would differ.
constexpr uint8_t kNameSpace[16] = {0x4e, 0x8a, 0x3c, 0x0b, 0x51, 0x7d, 0x5f, 0x0e, 0x9b, 0x62, 0x1f, 0x94, 0xd7, 0x20, 0xa6, 0xc3};

std::string sha1(std::string_view bytes) {
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), sum, &length, EVP_sha1(), nullptr) != 1)
        throw Error(Code::internal, "SHA-1 is not available");
    return {reinterpret_cast<char*>(sum), length};
}

}  // namespace

std::array<uint8_t, 16> uuid_of(std::string_view name) {
    std::string input(reinterpret_cast<const char*>(kNameSpace), sizeof kNameSpace);
    input.append(name);
    const std::string sum = sha1(input);
    std::array<uint8_t, 16> out;
    std::memcpy(out.data(), sum.data(), out.size());
    out[6] = static_cast<uint8_t>((out[6] & 0x0f) | 0x50);
    out[8] = static_cast<uint8_t>((out[8] & 0x3f) | 0x80);
    return out;
}

std::string identity_of(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat st {};
    if (!fd || fstat(fd.get(), &st) < 0) throw_errno("cannot open", path);
    if (S_ISDIR(st.st_mode)) return "path " + path;
    const auto size = static_cast<uint64_t>(st.st_size), head = std::min<uint64_t>(size, 32 << 10),
               tail = std::min<uint64_t>(size - head, 1 << 20);
    std::string bytes(head + tail, '\0');
    const auto read = [&](uint64_t at, uint64_t count, uint64_t from) {
        while (count > 0) {
            const ssize_t n = pread(fd.get(), bytes.data() + at, count, static_cast<off_t>(from));
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) throw_errno("cannot read", path);
            at += static_cast<uint64_t>(n), from += static_cast<uint64_t>(n), count -= static_cast<uint64_t>(n);
        }
    };
    read(0, head, 0);
    read(head, tail, size - tail);
    return "file " + std::to_string(size) + " " + sha256_hex(bytes);
}

std::optional<int64_t> result_time(std::string_view created) {
    if (const char* text = std::getenv("SOURCE_DATE_EPOCH"); text && *text) {
        int64_t out = 0;
        const auto r = std::from_chars(text, text + std::strlen(text), out);
        if (r.ec != std::errc() || *r.ptr != '\0' || out < 0)
            throw Error(Code::invalid, std::string("SOURCE_DATE_EPOCH is no number of seconds: '") + text + "'");
        return out;
    }
    return parse_rfc3339(created);
}

}  // namespace sg
