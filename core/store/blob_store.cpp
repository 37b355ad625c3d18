#include "store/blob_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/error.hpp"
#include "image/hasher.hpp"
#include "store/cache_file.hpp"
#include "store/output.hpp"
#include "store/private_directory.hpp"

namespace sg {

namespace {

using singularity::Slice;

constexpr size_t kChunk = 1 << 20;

// A whole file, from its descriptor.
class FileStream final : public singularity::Stream {
public:
    FileStream(UniqueFd fd, uint64_t size, std::string path)
        : fd_(std::move(fd)), path_(std::move(path)), left_(size), buffer_(std::min<uint64_t>(std::max<uint64_t>(size, 1), kChunk)) {
        posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    Slice next() override {
        if (left_ == 0) return {};
        ssize_t n = 0;
        do n = read(fd_.get(), buffer_.data(), std::min<uint64_t>(left_, buffer_.size()));
        while (n < 0 && errno == EINTR);
        if (n < 0) throw_errno("cannot read", path_);
        if (n == 0) throw Error(Code::corrupt, path_ + " became shorter while it was read");
        left_ -= static_cast<uint64_t>(n);
        return Slice::borrowed(buffer_.data(), static_cast<uint64_t>(n));
    }

private:
    UniqueFd fd_;
    std::string path_;
    uint64_t left_;
    std::vector<uint8_t> buffer_;
};

}  // namespace

BlobStore::BlobStore(std::string root, std::vector<std::string> lower) : root_(std::move(root)), lower_(std::move(lower)) {}

std::string BlobStore::layout(const std::string& root) { return root + "/oci"; }

std::string BlobStore::path_in(const std::string& root, const Digest& digest) {
    return layout(root) + "/blobs/" + std::string(digest.algorithm_name()) + "/" + digest.hex();
}

std::optional<std::string> BlobStore::find(const Digest& digest, uint64_t size) const {
    const auto fits = [&](const std::string& path) {
        struct stat st;
        return lstat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) &&
               (size == SG_SIZE_UNKNOWN || static_cast<uint64_t>(st.st_size) == size) && access(path.c_str(), R_OK) == 0;
    };
    if (writable()) {
        std::string path = path_in(root_, digest);
        if (fits(path)) return path;
    }
    {
        const std::lock_guard lock(mutex_);
        if (distrusted_.count(digest.text()) != 0) return std::nullopt;
    }
    for (const auto& root : lower_) {
        std::string path = path_in(root, digest);
        if (fits(path)) return path;
    }
    return std::nullopt;
}

bool BlobStore::holds(const Digest& digest) const {
    struct stat st;
    return writable() && lstat(path_in(root_, digest).c_str(), &st) == 0 && S_ISREG(st.st_mode);
}

std::unique_ptr<singularity::Stream> BlobStore::open(const Digest& digest, uint64_t size) const {
    const auto path = find(digest, size);
    if (!path) throw Error(Code::not_found, "the blob " + digest.text() + " has gone from the cache");
    uint64_t found = 0;
    UniqueFd fd = open_cache_file(*path, found);
    if (!fd) throw Error(Code::not_found, "the blob " + *path + " has gone");
    return std::make_unique<FileStream>(std::move(fd), found, *path);
}

std::optional<std::string> BlobStore::document(const Digest& digest, uint64_t limit) const {
    const auto path = find(digest);
    if (!path) return std::nullopt;
    uint64_t size = 0;
    UniqueFd fd = open_cache_file(*path, size);
    if (!fd || size > limit) return std::nullopt;
    FileStream stream(std::move(fd), size, *path);
    try {
        std::string text = singularity::read_all(stream, limit, *path);
        Hasher hasher(digest.algorithm_name());
        hasher.update(text.data(), text.size());
        if (hasher.finish() == digest.text()) return text;
    } catch (const Error&) {
    }
    return std::nullopt;
}

void BlobStore::prepare() const {
    make_cache_root(root_);
    const std::string top = layout(root_);
    make_private_directory(top);
    make_private_directory(top + "/blobs");
    make_private_directory(top + "/blobs/sha256");
}

void BlobStore::keep(NewFile& file, const Digest& digest) const {
    if (digest.algorithm() != Digest::Algorithm::sha256) make_private_directory(layout(root_) + "/blobs/" + std::string(digest.algorithm_name()));
    // Not synced: nothing can interrupt that, and a user's Ctrl-C would wait for the disk (0.2 to 0.8 s instead of 0.05
    // to 0.1 s, six layers of a 1.3 GB image under way). Who reads a blob compares its digest, so what a power failure
    // tore is found as any other damage is.
    file.place(path_in(root_, digest), false);
}

void BlobStore::keep(std::string_view bytes, const Digest& digest) const {
    NewFile file(root_);
    file.append(bytes);
    keep(file, digest);
}

bool BlobStore::intact(const Digest& digest) const {
    try {
        const auto stream = open(digest);
        Hasher hasher(digest.algorithm_name());
        for (;;) {
            const Slice s = stream->next();
            if (s.size() == 0) break;
            hasher.update(s);
        }
        return hasher.finish() == digest.text();
    } catch (const Error&) {
        return false;
    }
}

void BlobStore::discard(const Digest& digest) {
    const std::string own = writable() ? path_in(root_, digest) : "";
    if (!own.empty() && unlink(own.c_str()) == 0) return;
    const std::lock_guard lock(mutex_);
    distrusted_.insert(digest.text());
}

}  // namespace sg
