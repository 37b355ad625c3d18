// Where the bytes of images lie: each file under its SHA-256, and uploads that are not done yet.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hub {

// Closes what it holds.
class File {
public:
    explicit File(int fd = -1) : fd_(fd) {}
    File(File&& o) noexcept : fd_(o.fd_) { o.fd_ = -1; }
    File& operator=(File&&) = delete;
    ~File();
    int fd() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }
    explicit operator bool() const { return fd_ >= 0; }

private:
    int fd_;
};

// `hash` is always 64 lower-case hex digits, `upload` 24; both are checked before they come here. Any thread.
class BlobStore {
public:
    virtual ~BlobStore() = default;
    virtual File open(const std::string& hash) const = 0;  // for reading; false when it is not there
    virtual File open_upload(const std::string& upload) const = 0;  // for reading and writing; made when it is not there
    // The upload becomes the blob of that hash, on the disk when this returns. Call it within a database transaction
    // that also records the blob, so that collect() of another process never sees it alone.
    virtual void commit(const std::string& upload, const std::string& hash) = 0;
    virtual void remove_upload(const std::string& upload) = 0;
    virtual void remove(const std::string& hash) = 0;
    virtual std::vector<std::string> list() const = 0;
    virtual std::vector<std::string> list_uploads() const = 0;
    virtual uint64_t free_bytes() const = 0;
};

// blobs/AB/HEX and uploads/ID below `directory`.
std::unique_ptr<BlobStore> directory_blobs(const std::string& directory);

// SHA-256 of the whole file, in hex; memory is constant.
std::string file_sha256(int fd);

}  // namespace hub
