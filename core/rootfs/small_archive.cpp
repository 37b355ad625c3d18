#include "rootfs/small_archive.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "rootfs/decompress.hpp"
#include "rootfs/tar_reader.hpp"

namespace sg {

using singularity::Slice;
using singularity::Stream;

namespace {

constexpr unsigned most_entries = 4096;
constexpr uint64_t most_bytes = 256u << 20;
constexpr size_t longest_path = 512;

[[noreturn]] void too_much(const std::string& file) {
    throw Error(Code::limit, file + ": holds more than 4096 entries or 256 MiB");
}

class FileBytes final : public Stream {
public:
    explicit FileBytes(std::string path)
        : path_(std::move(path)), fd_(open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)) {
        if (!fd_) throw_errno("cannot open", path_);
    }
    Slice next() override {
        std::vector<uint8_t> bytes(64 << 10);
        ssize_t n = 0;
        do n = ::read(fd_.get(), bytes.data(), bytes.size());
        while (n < 0 && errno == EINTR);
        if (n < 0) throw_errno("cannot read", path_);
        if (n == 0) return {};
        bytes.resize(static_cast<size_t>(n));
        return Slice::owned(std::move(bytes));
    }

private:
    std::string path_;
    UniqueFd fd_;
};

// A few bytes may inflate to very many: headers and padding count as well.
class AtMost final : public Stream {
public:
    AtMost(std::unique_ptr<Stream> from, const std::string& file) : from_(std::move(from)), file_(file) {}
    Slice next() override {
        Slice s = from_->next();
        if (s.size() > left_) too_much(file_);
        left_ -= s.size();
        return s;
    }

private:
    std::unique_ptr<Stream> from_;
    const std::string& file_;
    uint64_t left_ = most_bytes + most_entries * 4096u;
};

// The parts of a name, without "." and empty ones; throws for one that could lead outside.
std::vector<std::string> parts_of(std::string_view path, const std::string& file) {
    const auto refuse = [&](const char* why) {
        throw Error(Code::invalid, file + ": has an entry '" + std::string(path.substr(0, 200)) + "', which " + why);
    };
    if (path.empty() || path.size() > longest_path) refuse("has no name of 1 to 512 bytes");
    if (path[0] == '/') refuse("is an absolute path");
    std::vector<std::string> parts;
    for (size_t at = 0; at < path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        const std::string_view part = path.substr(at, end - at);
        at = end + 1;
        if (part.empty() || part == ".") continue;
        if (part == "..") refuse("climbs out of its directory");
        parts.emplace_back(part);
    }
    return parts;
}

void write_file(const std::string& path, const std::string& file, Stream& data, mode_t mode) {
    const UniqueFd out(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!out) {
        if (errno == EEXIST)
            throw Error(Code::invalid, file + ": has an entry twice: " + path.substr(path.rfind('/') + 1));
        throw_errno("cannot write", path);
    }
    for (;;) {
        const Slice s = data.next();
        if (s.size() == 0) break;
        static const char zeros[4096] = {};
        for (uint64_t done = 0; done < s.size();) {
            const uint64_t rest = s.size() - done;
            const ssize_t n = s.is_hole() ? ::write(out.get(), zeros, std::min<uint64_t>(rest, sizeof zeros))
                                          : ::write(out.get(), s.data() + done, rest);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) throw_errno("cannot write", path);
            done += static_cast<uint64_t>(n);
        }
    }
}

}  // namespace

static void unpack(const std::string& file, const std::string& into) {
    AtMost bytes(decompress(std::make_unique<FileBytes>(file)), file);
    TarReader tar(bytes);
    TarEntry entry;
    uint64_t total = 0;
    for (unsigned entries = 0; tar.next(entry); ++entries) {
        if (entries == most_entries) too_much(file);
        const auto parts = parts_of(entry.path, file);
        if (entry.kind != TarEntry::Kind::file && entry.kind != TarEntry::Kind::directory)
            throw Error(Code::invalid, file + ": has an entry '" + std::string(entry.path) +
                                           "', which is neither a file nor a directory");
        std::string path = into;
        // Nothing but directories and files of our own making lies below `into`, so no part can be a link.
        for (size_t i = 0; i < parts.size(); ++i) {
            path += "/" + parts[i];
            const bool last = i + 1 == parts.size();
            if (last && entry.kind == TarEntry::Kind::file) break;
            if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) throw_errno("cannot make", path);
        }
        if (entry.kind == TarEntry::Kind::directory) continue;
        if (parts.empty()) throw Error(Code::invalid, file + ": has a file without a name");
        if (entry.size > most_bytes - total) too_much(file);
        total += entry.size;
        write_file(path, file, tar.data(), entry.permissions & 0111 ? 0755 : 0644);
    }
    tar.drain();
}

void unpack_small_archive(const std::string& file, const std::string& into) {
    try {
        unpack(file, into);
    } catch (const Error& e) {
        if (e.code() != Code::corrupt) throw;
        throw e.within(file);  // what reads archives does not know their names
    }
}

}  // namespace sg
