#include "remote-build/context.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <set>

namespace remote_build {

namespace {

constexpr int max_links = 40;  // as the kernel

[[noreturn]] void failed(const std::string& what, int error) {
    const Code code = error == ENOENT || error == ENOTDIR ? Code::not_found : error == EACCES || error == EPERM ? Code::permission : error == ENOSPC ? Code::no_space : Code::io;
    throw Error(code, what + ": " + std::strerror(error)).because(error);
}

struct Descriptor {
    int fd = -1;
    ~Descriptor() {
        if (fd >= 0) close(fd);
    }
};

void write_all(int fd, const void* data, size_t size) {
    const auto* at = static_cast<const char*>(data);
    while (size > 0) {
        const ssize_t n = ::write(fd, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) failed("cannot write the archive of the files for the builder", errno);
        at += n;
        size -= static_cast<size_t>(n);
    }
}

class Packer {
public:
    Packer(const Host& host, const ContextLimits& limits) : host_(host), limits_(limits), hash_(EVP_MD_CTX_new()), archive_(archive_write_new()) {
        if (!archive_ || !hash_ || EVP_DigestInit_ex(hash_.get(), EVP_sha256(), nullptr) != 1) throw Error(Code::limit, "out of memory");
        out_.fd = host.temporary_file();
        check(archive_write_add_filter_gzip(archive_.get()));
        check(archive_write_set_filter_option(archive_.get(), "gzip", "timestamp", nullptr));
        check(archive_write_set_format_pax_restricted(archive_.get()));
        check(archive_write_open2(
            archive_.get(), this, nullptr,
            [](archive* a, void* self, const void* data, size_t size) -> la_ssize_t {
                auto& packer = *static_cast<Packer*>(self);
                try {
                    write_all(packer.out_.fd, data, size);
                    EVP_DigestUpdate(packer.hash_.get(), data, size);
                    packer.written_ += size;
                    return static_cast<la_ssize_t>(size);
                } catch (const Error& e) {
                    archive_set_error(a, e.sys_errno(), "%s", e.message().c_str());
                    return -1;
                }
            },
            nullptr, nullptr));
    }

    // What stands at `path` and, where links lead to it, the links.
    void add(const std::string& path) {
        std::string at;  // a place without links
        std::vector<std::string> rest = components(path);
        int links = 0;
        while (!rest.empty()) {
            const std::string name = rest.back();
            rest.pop_back();
            if (name == "..") {
                at.erase(std::min(at.rfind('/'), at.size()));
                continue;
            }
            const std::string next = at + "/" + name;
            const struct stat st = look(next, path);
            if (!S_ISLNK(st.st_mode)) {
                at = next;
                continue;
            }
            if (++links > max_links) failed("cannot send " + path, ELOOP);
            const std::string target = add_link(next, st);
            if (target[0] == '/') at.clear();
            const auto parts = components(target);
            rest.insert(rest.end(), parts.begin(), parts.end());
        }
        add_tree(at.empty() ? "/" : at);
    }

    Context finish() {
        check(archive_write_close(archive_.get()));
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        if (EVP_DigestFinal_ex(hash_.get(), digest, &size) != 1) throw Error(Code::internal, "no SHA-256");
        static constexpr char digits[] = "0123456789abcdef";
        std::string text = "sha256.";
        for (unsigned i = 0; i < size; ++i) text.append({digits[digest[i] >> 4], digits[digest[i] & 15]});
        return Context(std::exchange(out_.fd, -1), written_, std::move(text));
    }

private:
    // Last one first.
    static std::vector<std::string> components(const std::string& path) {
        std::vector<std::string> out;
        for (size_t at = 0; at < path.size();) {
            const size_t end = std::min(path.find('/', at), path.size());
            const std::string part = path.substr(at, end - at);
            if (!part.empty() && part != ".") out.push_back(part);
            at = end + 1;
        }
        std::reverse(out.begin(), out.end());
        return out;
    }

    static struct stat look(const std::string& path, const std::string& wanted) {
        struct stat st {};
        if (lstat(path.c_str(), &st) != 0) failed("cannot send " + wanted + (path == wanted ? "" : " (" + path + ")"), errno);
        return st;
    }

    void check(int status) {
        if (status >= ARCHIVE_WARN) return;
        const char* why = archive_error_string(archive_.get());
        throw Error(archive_errno(archive_.get()) == ENOSPC ? Code::no_space : Code::io, why ? why : "cannot write the archive of the files for the builder");
    }

    // False: it is there already.
    bool once(const std::string& path) {
        if (!seen_.insert(path).second) return false;
        if (seen_.size() > limits_.entries)
            throw Error(Code::limit, "%files names more than " + std::to_string(limits_.entries) + " files: too many to be sent to a builder");
        host_.poll();
        return true;
    }

    std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(const std::string& path, const struct stat& st) {
        std::unique_ptr<archive_entry, void (*)(archive_entry*)> e(archive_entry_new(), archive_entry_free);
        if (!e) throw Error(Code::limit, "out of memory");
        archive_entry_set_pathname(e.get(), path.substr(1).c_str());
        archive_entry_set_mode(e.get(), st.st_mode);
        archive_entry_set_mtime(e.get(), st.st_mtim.tv_sec, 0);
        archive_entry_set_uid(e.get(), 0);  // as a copy by %files has it
        archive_entry_set_gid(e.get(), 0);
        return e;
    }

    std::string add_link(const std::string& path, const struct stat& st) {
        char target[PATH_MAX];
        const ssize_t n = readlink(path.c_str(), target, sizeof target - 1);
        if (n <= 0) failed("cannot read the link " + path, n == 0 ? ENOENT : errno);
        target[n] = '\0';
        if (once(path)) {
            const auto e = entry(path, st);
            archive_entry_set_symlink(e.get(), target);
            check(archive_write_header(archive_.get(), e.get()));
        }
        return target;
    }

    void add_tree(const std::string& path) {
        const struct stat st = look(path, path);
        if (S_ISLNK(st.st_mode)) {
            add_link(path, st);
        } else if (S_ISREG(st.st_mode)) {
            if (once(path)) add_file(path);
        } else if (S_ISDIR(st.st_mode)) {
            if (once(path)) add_directory(path, st);
        } else {
            host_.warn(path + " is neither a file, a directory nor a link: it is not sent to the builder");
        }
    }

    void add_directory(const std::string& path, const struct stat& st) {
        if (path != "/") check(archive_write_header(archive_.get(), entry(path, st).get()));
        std::vector<std::string> names;
        {
            const std::unique_ptr<DIR, int (*)(DIR*)> d(opendir(path.c_str()), closedir);
            if (!d) failed("cannot read the directory " + path, errno);
            errno = 0;
            while (const dirent* e = readdir(d.get()))
                if (std::strcmp(e->d_name, ".") != 0 && std::strcmp(e->d_name, "..") != 0) names.emplace_back(e->d_name);
            if (errno != 0) failed("cannot read the directory " + path, errno);
        }
        std::sort(names.begin(), names.end());
        for (const auto& name : names) add_tree((path == "/" ? "" : path) + "/" + name);
    }

    void add_file(const std::string& path) {
        const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW)};
        struct stat st {};
        if (file.fd < 0 || fstat(file.fd, &st) != 0) failed("cannot open " + path, errno);
        if (!S_ISREG(st.st_mode)) throw Error(Code::io, path + " changed while it was read");
        const auto size = static_cast<uint64_t>(st.st_size);
        if (size > limits_.bytes - contents_)
            throw Error(Code::limit, "the files of %files are larger than the " + std::to_string(limits_.bytes) + " bytes that are sent to a builder (at " + path + ")",
                        "Let the builder fetch large data, in %post, or build here, without --remote.");
        contents_ += size;
        const auto e = entry(path, st);
        archive_entry_set_size(e.get(), st.st_size);
        check(archive_write_header(archive_.get(), e.get()));
        std::vector<char> buffer(256 * 1024);
        for (uint64_t left = size; left > 0;) {
            host_.poll();
            const ssize_t n = read(file.fd, buffer.data(), static_cast<size_t>(std::min<uint64_t>(left, buffer.size())));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) failed("cannot read " + path, errno);
            if (n == 0) throw Error(Code::io, path + " became shorter while it was read");
            if (archive_write_data(archive_.get(), buffer.data(), static_cast<size_t>(n)) < 0) check(ARCHIVE_FATAL);
            left -= static_cast<uint64_t>(n);
        }
    }

    const Host& host_;
    const ContextLimits limits_;
    struct FreeArchive {
        void operator()(archive* a) const { archive_write_free(a); }
    };
    struct FreeHash {
        void operator()(EVP_MD_CTX* h) const { EVP_MD_CTX_free(h); }
    };
    Descriptor out_;
    std::unique_ptr<EVP_MD_CTX, FreeHash> hash_;
    std::unique_ptr<archive, FreeArchive> archive_;  // after what its end still uses
    std::set<std::string> seen_;
    uint64_t contents_ = 0, written_ = 0;
};

class FileStream final : public singularity::Stream {
public:
    explicit FileStream(int fd) : fd_(fd), buffer_(256 * 1024) {}
    singularity::Slice next() override {
        for (;;) {
            const ssize_t n = pread(fd_, buffer_.data(), buffer_.size(), static_cast<off_t>(at_));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) failed("cannot read the archive of the files for the builder", errno);
            at_ += static_cast<uint64_t>(n);
            return singularity::Slice::borrowed(buffer_.data(), static_cast<uint64_t>(n));
        }
    }

private:
    int fd_;
    std::vector<char> buffer_;
    uint64_t at_ = 0;
};

bool is_pattern(const std::string& path) { return path.find_first_of("*?[") != std::string::npos; }

// The directory's own name is no pattern.
std::string literal(const std::string& path) {
    std::string out;
    for (const char c : path) {
        if (c == '*' || c == '?' || c == '[' || c == '\\') out.push_back('\\');
        out.push_back(c);
    }
    return out;
}

std::vector<std::string> expanded(const std::string& file, const std::string& directory) {
    const bool absolute = file.starts_with('/');
    if (!is_pattern(file)) return {absolute ? file : directory + "/" + file};
    const std::string path = absolute ? file : literal(directory) + "/" + file;
    glob_t found{};
    const int code = glob(path.c_str(), GLOB_ERR, nullptr, &found);
    std::vector<std::string> out(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    globfree(&found);
    if (code == GLOB_NOMATCH) throw Error(Code::not_found, "%files: no file matches " + file);
    if (code != 0) throw Error(Code::permission, "%files: cannot look for " + file);
    return out;
}

}  // namespace

Context::~Context() {
    if (fd_ >= 0) close(fd_);
}

std::unique_ptr<singularity::Stream> Context::stream() const { return std::make_unique<FileStream>(fd_); }

Context pack_context(const std::vector<std::string>& files, const std::string& directory, const Host& host, const ContextLimits& limits) {
    Packer packer(host, limits);
    for (const auto& file : files)
        for (const auto& path : expanded(file, directory)) packer.add(path);
    return packer.finish();
}

}  // namespace remote_build
