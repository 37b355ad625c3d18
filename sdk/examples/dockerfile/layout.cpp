#include "layout.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <singularity/digest.hpp>
#include <singularity/json.hpp>

namespace dockerfile {

using singularity::Code;
using singularity::Digest;
using singularity::Error;
using singularity::Host;
using singularity::Slice;
namespace json = singularity::json;

namespace {

class FileStream final : public singularity::Stream {
public:
    FileStream(const std::string& path, const Host& host)
        : path_(path), host_(host), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), buffer_(512 << 10) {
        if (fd_ < 0) throw Error(Code::io, path + ": " + std::strerror(errno)).because(errno);
    }
    ~FileStream() override { ::close(fd_); }
    Slice next() override {
        host_.poll();
        ssize_t n = 0;
        while ((n = ::read(fd_, buffer_.data(), buffer_.size())) < 0 && errno == EINTR) continue;
        if (n < 0) throw Error(Code::io, path_ + ": " + std::strerror(errno)).because(errno);
        return Slice::borrowed(buffer_.data(), static_cast<uint64_t>(n));
    }

private:
    std::string path_;
    Host host_;
    int fd_;
    std::vector<uint8_t> buffer_;
};

std::string text_of(const std::string& path) {
    FileStream stream(path, Host());
    return singularity::read_all(stream, json::max_bytes, path);
}

}  // namespace

LayoutImage::LayoutImage(std::string directory) : directory_(std::move(directory)) {
    const json::Document index(text_of(directory_ + "/index.json"), directory_ + "/index.json");
    const auto images = index.root()["manifests"].list();
    if (images.size() != 1)
        throw Error(Code::invalid, directory_ + " holds " + std::to_string(images.size()) + " images instead of one");
    manifest_type_ = images[0]["mediaType"].text();
    manifest_ = text_of(path_of(images[0]["digest"].text()));

    const json::Document manifest(manifest_, "the manifest of the image");
    config_digest_ = manifest.root()["config"]["digest"].text();
    config_ = text_of(path_of(config_digest_));
    const json::Document config(config_, "the config of the image");
    const auto diff_ids = config.root()["rootfs"]["diff_ids"].texts();
    for (const json::Value& layer : manifest.root()["layers"].list()) {
        if (layers_.size() == diff_ids.size())
            throw Error(Code::invalid, "the image has more layers than its config knows of");
        layers_.push_back(
            {layer["mediaType"].text(), layer["digest"].text(), diff_ids[layers_.size()], layer["size"].size(), {}});
    }
    if (layers_.size() != diff_ids.size())
        throw Error(Code::invalid, "the image has fewer layers than its config knows of");
}

std::unique_ptr<singularity::Stream> LayoutImage::layer(uint64_t index, const Host& host) {
    return std::make_unique<FileStream>(path_of(layers_.at(index).digest), host);
}

// A digest that was checked is safe as a file name.
std::string LayoutImage::path_of(const std::string& digest) const {
    const Digest d = Digest::parse(digest, directory_);
    return directory_ + "/blobs/" + std::string(d.algorithm_name()) + "/" + d.hex();
}

}  // namespace dockerfile
