// SPDX-License-Identifier: BSD-3-Clause
// squashfs.cpp: the format "squashfs": a file that is a squashfs from its first byte on, or after the launch line
// of Singularity 2 (31 bytes, "#!/usr/bin/env run-singularity" and a newline).
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <family/segment.hpp>
#include <family/squashfs_reader.hpp>
#include <family/squashfs_writer.hpp>
#include <mutex>
#include <singularity/format.hpp>
#include <singularity/plugin.hpp>

namespace squashfs_plugin {

using singularity::Code;
using singularity::CreateSpec;
using singularity::Error;
using singularity::Host;

namespace {

class Fd {
public:
    explicit Fd(int fd) : fd_(fd) {}
    ~Fd() {
        if (fd_ >= 0) close(fd_);
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    int get() const { return fd_; }

private:
    int fd_;
};

Fd open_file(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) return Fd(fd);
    const int e = errno;
    const Code code = e == ENOENT || e == ENOTDIR ? Code::not_found
                      : e == EACCES || e == EPERM ? Code::permission
                                                  : Code::io;
    throw Error(code, "cannot open " + path + ": " + std::strerror(e));
}

constexpr size_t launch_line = 31;

// Where the squashfs begins in a file with these first bytes; SIZE_MAX: nowhere.
size_t begin_of(std::span<const uint8_t> head) {
    for (const size_t at : {size_t{0}, launch_line})
        if (head.size() >= at + 4 && std::memcmp(head.data() + at, "hsqs", 4) == 0) return at;
    return SIZE_MAX;
}

class Image final : public singularity::ImageFile {
public:
    explicit Image(const std::string& path) : path_(path), file_(open_file(path)) {
        struct stat st {};
        if (fstat(file_.get(), &st) != 0) throw Error(Code::io, "cannot look at " + path + ": " + std::strerror(errno));
        if (!S_ISREG(st.st_mode)) throw Error(Code::invalid, path + " is no regular file");
        size_ = static_cast<uint64_t>(st.st_size);
        uint8_t head[launch_line + 4];
        const ssize_t n = pread(file_.get(), head, sizeof head, 0);
        if (n < 0) throw Error(Code::io, "cannot read " + path + ": " + std::strerror(errno));
        const size_t begin = begin_of({head, static_cast<size_t>(n)});
        begin_ = begin == SIZE_MAX ? 0 : begin;
        named([&] { super_ = squashfs::read_super_block(file_.get(), begin_, size_ - begin_); });
    }

    sg_image_info info() override {
        sg_image_info out{};
        singularity::detail::copy_text(out.format, "squashfs");
        out.runnable = 1;
        return out;
    }

    singularity::Root& root() override {
        const std::lock_guard lock(mutex_);
        if (!root_) named([&] { root_ = squashfs::open_squashfs(file_.get(), begin_, size_ - begin_); });
        return *root_;
    }

    sg_mount_plan mount_plan() override {
        sg_mount_plan out{};
        // A path that leads nowhere by name is an open descriptor's in /proc, and stays as it is.
        const std::unique_ptr<char, decltype(&free)> real(realpath(path_.c_str(), nullptr), &free);
        const std::string absolute = real ? real.get() : path_;
        if (absolute.size() >= sizeof out.path) throw Error(Code::limit, "the path of " + path_ + " is too long");
        singularity::detail::copy_text(out.type, "squashfs");
        singularity::detail::copy_text(out.path, absolute);
        out.offset = begin_;
        out.size = size_ - begin_;
        return out;
    }

private:
    template <class F>
    void named(F&& f) const {
        try {
            f();
        } catch (const Error& e) {
            throw e.within(path_);
        }
    }

    const std::string path_;
    const Fd file_;
    uint64_t size_ = 0, begin_ = 0;
    squashfs::SuperBlock super_;
    std::mutex mutex_;
    std::unique_ptr<singularity::StoredRoot> root_;
};

class Writer final : public singularity::LayeredWriter {
public:
    Writer(int fd, const squashfs::SquashfsOptions& options, const Host& host) : writer_(fd, 0, options, host) {}

    uint64_t content(const char* hint, uint64_t size, singularity::Stream& data, const Host& host) override {
        return writer_.content(hint, size, data, host);
    }
    uint64_t adopt(const singularity::ForeignRoot& from, uint64_t node) override { return writer_.adopt(from, node); }
    void finish(const singularity::ForeignRoot& tree, const Host& host) override { writer_.finish(tree, host); }

    const std::string& family() override { return writer_.family(); }
    void begin_layer(int) override { writer_.begin_layer(-1); }
    void begin_image_layer(int segment) override { writer_.begin_layer(segment); }
    void hidden(const char* path, uint64_t size, singularity::Stream* data, const Host& host) override {
        writer_.hidden(path, size, data, host);
    }
    singularity::SegmentEnd end_layer(const Host& host) override { return writer_.end_layer(host); }
    void begin_stored(singularity::Segment& segment) override { writer_.begin_stored(segment); }
    uint64_t stored(const char* path, bool hidden, const Host& host) override {
        return writer_.stored(path, hidden, host);
    }

private:
    squashfs::SquashfsWriter writer_;
};

class SquashfsFormat final : public singularity::Format {
public:
    int probe(const char*, bool is_directory, std::span<const uint8_t> head) override {
        return !is_directory && begin_of(head) != SIZE_MAX ? 90 : 0;
    }

    std::unique_ptr<singularity::ImageFile> open(const std::string& path, bool writable) override {
        if (writable)
            throw Error(Code::unsupported, path + ": a squashfs file can only be read",
                        "unpack it with 'build --sandbox' to change it");
        return std::make_unique<Image>(path);
    }

    std::unique_ptr<singularity::Writer> create(const CreateSpec& what, const Host& host) override {
        auto options = squashfs::parse_compression(what.compress);
        options.mtime = squashfs::clamp_time(what.time);
        return std::make_unique<Writer>(what.fd, options, host);
    }
};

struct Segments : singularity::SegmentsOf<Segments> {
    static std::unique_ptr<singularity::Segment> open_segment(int fd, uint64_t data_size, uint64_t size) {
        return std::make_unique<squashfs::StoredSegment>(fd, data_size, size);
    }
    static std::unique_ptr<singularity::Segment> open_image_segment(int fd, int image, uint64_t data_size,
                                                                    uint64_t size) {
        return std::make_unique<squashfs::StoredSegment>(fd, data_size, size, image);
    }
};

}  // namespace
}  // namespace squashfs_plugin

SINGULARITY_PLUGIN(squashfs, squashfs_plugin::SquashfsFormat, squashfs_plugin::Segments)
