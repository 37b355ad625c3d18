// The transport "file": file:// URLs (RFC 8089), whole or in ranges; regular files only.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <singularity/transport.hpp>
#include <string>

namespace file_transport {

using singularity::Code;
using singularity::Error;
using singularity::Host;
using singularity::Slice;

constexpr uint64_t step = 1 << 20;

[[noreturn]] void throw_errno(const std::string& what, const std::string& path) {
    const int e = errno;
    const Code code = e == ENOENT || e == ENOTDIR ? Code::not_found
                      : e == EACCES || e == EPERM ? Code::permission
                                                  : Code::io;
    throw Error(code, what + " " + path + ": " + std::strerror(e));
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// The absolute path of a file URL: "file:///PATH", "file://localhost/PATH" or "file:/PATH", with %XX decoded.
std::string path_of(const std::string& url) {
    const auto bad = [&](const std::string& why) {
        return Error(Code::invalid, "the URL " + url + " " + why, "The form is file:///absolute/path.");
    };
    std::string_view rest = url;
    if (rest.substr(0, 5) != "file:") throw bad("is not a file URL");
    rest.remove_prefix(5);
    if (rest.substr(0, 2) == "//") {
        rest.remove_prefix(2);
        const size_t slash = std::min(rest.find('/'), rest.size());
        const std::string_view host = rest.substr(0, slash);
        if (!host.empty() && host != "localhost")
            throw bad("names the host " + std::string(host) + "; only files of this machine can be read");
        rest.remove_prefix(slash);
    }
    if (rest.empty() || rest.front() != '/') throw bad("has no absolute path");
    std::string out;
    for (size_t i = 0; i < rest.size(); ++i) {
        char c = rest[i];
        if (c == '%') {
            const int high = i + 1 < rest.size() ? hex_digit(rest[i + 1]) : -1,
                      low = i + 2 < rest.size() ? hex_digit(rest[i + 2]) : -1;
            if (high < 0 || low < 0) throw bad("has a % that two hexadecimal digits do not follow");
            c = static_cast<char>(high * 16 + low);
            i += 2;
        }
        if (c == '\0') throw bad("holds a NUL character");
        out += c;
    }
    return out;
}

class File {
public:
    explicit File(int fd) : fd_(fd) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }

private:
    int fd_;
};

class Body final : public singularity::Stream {
public:
    Body(std::shared_ptr<File> file, std::string path, uint64_t offset, uint64_t size, const Host& host)
        : file_(std::move(file)), path_(std::move(path)), offset_(offset), left_(size), host_(host) {
        if (size > 0)
            ::posix_fadvise(file_->get(), static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_SEQUENTIAL);
    }
    Slice next() override {
        host_.poll();
        if (left_ == 0) return {};
        const uint64_t want = std::min(step, left_);
        if (!buffer_) buffer_ = std::make_unique_for_overwrite<char[]>(want);
        ssize_t n;
        do n = ::pread(file_->get(), buffer_.get(), want, static_cast<off_t>(offset_));
        while (n < 0 && errno == EINTR);
        if (n < 0) throw_errno("cannot read", path_);
        if (n == 0) throw Error(Code::corrupt, path_ + " became shorter while it was read");
        offset_ += static_cast<uint64_t>(n);
        left_ -= static_cast<uint64_t>(n);
        return Slice::borrowed(buffer_.get(), static_cast<uint64_t>(n));
    }

private:
    std::shared_ptr<File> file_;
    std::string path_;
    uint64_t offset_, left_;
    Host host_;
    std::unique_ptr<char[]> buffer_;
};

class Answer final : public singularity::Response {
public:
    Answer(std::string url, std::shared_ptr<File> file, std::string path, unsigned status, uint64_t offset,
           uint64_t size, bool head, const Host& host)
        : url_(std::move(url)),
          file_(std::move(file)),
          path_(std::move(path)),
          status_(status),
          offset_(offset),
          size_(size),
          head_(head),
          host_(host),
          length_(std::to_string(size)) {}
    unsigned status() const override { return status_; }
    const char* header(const char* name, uint64_t i) const override {
        return i == 0 && ::strcasecmp(name, "content-length") == 0 ? length_.c_str() : nullptr;
    }
    const char* url() const override { return url_.c_str(); }
    uint64_t size() const override { return size_; }
    std::unique_ptr<singularity::Stream> body() override {
        return std::make_unique<Body>(file_, path_, offset_, head_ ? 0 : size_, host_);
    }

private:
    std::string url_;
    std::shared_ptr<File> file_;
    std::string path_;
    unsigned status_;
    uint64_t offset_, size_;
    bool head_;
    Host host_;
    std::string length_;
};

class FileTransport final : public singularity::Transport {
public:
    std::unique_ptr<singularity::Response> send(const sg_request& request, const Host& host) override {
        // The body is the transport's to close, whatever comes of the request.
        if (request.body) request.body->close(request.body);
        const std::string method = request.method ? request.method : "GET", url = request.url ? request.url : "";
        if (method != "GET" && method != "HEAD")
            throw Error(Code::unsupported, "cannot " + method + " " + url + ": files can only be read by URL");
        host.poll();
        const std::string path = path_of(url);
        // O_NONBLOCK, so that a FIFO does not hold us before it is refused.
        auto file = std::make_shared<File>(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
        if (file->get() < 0) throw_errno("cannot open", path);
        struct stat st {};
        if (::fstat(file->get(), &st) != 0) throw_errno("cannot examine", path);
        if (S_ISDIR(st.st_mode)) throw Error(Code::invalid, path + " is a directory, and a file is expected");
        if (!S_ISREG(st.st_mode)) throw Error(Code::invalid, path + " is not a regular file");
        const auto size = static_cast<uint64_t>(st.st_size);
        const bool whole = request.range_begin == 0 && request.range_end == SG_SIZE_UNKNOWN;
        uint64_t begin = request.range_begin, end = std::min(request.range_end, size);
        unsigned status = whole ? 200 : 206;
        if (!whole && (begin >= size || begin >= request.range_end)) {
            // As a server answers: the range cannot be satisfied.
            status = 416;
            begin = end = 0;
        }
        return std::make_unique<Answer>(url, std::move(file), path, status, begin, end - begin, method == "HEAD", host);
    }
};

}  // namespace file_transport

SINGULARITY_PLUGIN(file, file_transport::FileTransport)
