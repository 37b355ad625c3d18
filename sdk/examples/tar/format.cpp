// The format "tar": a root file system as a tarball that is not compressed, so that it can be read at random.
#include <fcntl.h>
#include <unistd.h>

#include "reader.hpp"
#include "writer.hpp"

namespace {

using namespace singularity;

class TarFile final : public ImageFile {
public:
    explicit TarFile(const std::string& path) : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
        if (fd_ < 0)
            throw Error(errno == EACCES   ? Code::permission
                        : errno == ENOENT ? Code::not_found
                                          : Code::io,
                        path + ": " + std::strerror(errno))
                .because(errno);
    }
    ~TarFile() override { ::close(fd_); }
    sg_image_info info() override {
        sg_image_info out{};
        detail::copy_text(out.format, "tar");
        out.runnable = 1;
        return out;
    }
    Root& root() override {
        if (!root_) root_ = std::make_unique<tarball::TarRoot>(fd_, path_);
        return *root_;
    }
    sg_mount_plan mount_plan() override { throw Error(Code::unsupported, path_ + ": no kernel mounts a tarball"); }

private:
    std::string path_;
    int fd_;
    std::unique_ptr<tarball::TarRoot> root_;
};

class Tar final : public Format {
public:
    int probe(const char*, bool is_directory, std::span<const uint8_t> head) override {
        // "ustar" at byte 257, as the manifest says; the headers are looked at when it is opened.
        return !is_directory && head.size() >= 512 &&
                       std::string_view(reinterpret_cast<const char*>(head.data()) + 257, 5) == "ustar"
                   ? 90
                   : 0;
    }
    std::unique_ptr<ImageFile> open(const std::string& path, bool writable) override {
        if (writable)
            throw Error(Code::unsupported, path + ": a tarball cannot be changed in place", "Build a new one of it.");
        return std::make_unique<TarFile>(path);
    }
    std::unique_ptr<Writer> create(const CreateSpec& spec, const Host& host) override {
        if (!spec.compress.empty() && spec.compress != "none")
            throw Error(Code::invalid, "a tarball that is read at random cannot be compressed: '" + spec.compress +
                                           "' is not possible");
        return std::make_unique<tarball::TarWriter>(spec.fd, host);
    }
};

}  // namespace

SINGULARITY_PLUGIN(tar, Tar)
