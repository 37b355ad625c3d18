#include "hub/store/blobs.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <singularity/digest.hpp>

namespace hub {

using singularity::Code;
using singularity::Error;

namespace {

[[noreturn]] void fail(const std::string& what, const std::string& path) {
    const int e = errno;
    throw Error(e == ENOSPC || e == EDQUOT ? Code::no_space : Code::io, "cannot " + what + " '" + path + "': " + std::strerror(e)).because(e);
}

void sync_directory(const std::string& path) {
    const File directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::fsync(directory.fd()) != 0) fail("write to", path);
}

class DirectoryBlobs final : public BlobStore {
public:
    explicit DirectoryBlobs(const std::string& directory) : blobs_(directory + "/blobs"), uploads_(directory + "/uploads") {
        for (const auto& d : {blobs_, uploads_})
            if (::mkdir(d.c_str(), 0700) != 0 && errno != EEXIST) fail("make", d);
        sync_directory(directory);
    }

    File open(const std::string& hash) const override {
        File file(::open(path(hash).c_str(), O_RDONLY | O_CLOEXEC));
        if (!file && errno != ENOENT) fail("open", path(hash));
        return file;
    }

    File open_upload(const std::string& upload) const override {
        const std::string name = uploads_ + "/" + upload;
        File file(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        if (!file) fail("make", name);
        return file;
    }

    void commit(const std::string& upload, const std::string& hash) override {
        const std::string from = uploads_ + "/" + upload, shelf = blobs_ + "/" + hash.substr(0, 2);
        if (::mkdir(shelf.c_str(), 0700) == 0)
            sync_directory(blobs_);
        else if (errno != EEXIST)
            fail("make", shelf);
        {
            const File file(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
            if (!file || ::fsync(file.fd()) != 0) fail("write", from);
        }
        if (::rename(from.c_str(), path(hash).c_str()) != 0) fail("keep", path(hash));
        sync_directory(shelf);
    }

    void remove_upload(const std::string& upload) override { ::unlink((uploads_ + "/" + upload).c_str()); }
    void remove(const std::string& hash) override {
        if (::unlink(path(hash).c_str()) != 0 && errno != ENOENT) fail("remove", path(hash));
    }

    std::vector<std::string> list() const override {
        std::vector<std::string> out;
        for (const auto& shelf : std::filesystem::directory_iterator(blobs_))
            if (shelf.is_directory())
                for (const auto& blob : std::filesystem::directory_iterator(shelf.path())) out.push_back(blob.path().filename());
        return out;
    }

    std::vector<std::string> list_uploads() const override {
        std::vector<std::string> out;
        for (const auto& upload : std::filesystem::directory_iterator(uploads_)) out.push_back(upload.path().filename());
        return out;
    }

    uint64_t free_bytes() const override {
        struct statvfs s {};
        if (::statvfs(blobs_.c_str(), &s) != 0) fail("look at", blobs_);
        return static_cast<uint64_t>(s.f_bavail) * s.f_frsize;
    }

private:
    std::string path(const std::string& hash) const { return blobs_ + "/" + hash.substr(0, 2) + "/" + hash; }
    std::string blobs_, uploads_;
};

}  // namespace

File::~File() {
    if (fd_ >= 0) ::close(fd_);
}

std::unique_ptr<BlobStore> directory_blobs(const std::string& directory) { return std::make_unique<DirectoryBlobs>(directory); }

std::string file_sha256(int fd) {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr);
    std::vector<char> buffer(256 << 10);
    off_t at = 0;
    for (;;) {
        const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("read", "an upload");
        if (n == 0) break;
        EVP_DigestUpdate(hash.get(), buffer.data(), static_cast<size_t>(n));
        at += n;
    }
    unsigned char out[32];
    EVP_DigestFinal_ex(hash.get(), out, nullptr);
    return singularity::Digest::of_bytes(singularity::Digest::Algorithm::sha256, out, sizeof out).hex();
}

}  // namespace hub
