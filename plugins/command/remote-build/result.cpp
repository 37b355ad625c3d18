#include "remote-build/result.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace remote_build {

namespace {

constexpr int max_tries = 4;  // without a byte more

[[noreturn]] void failed(const std::string& what, int error) {
    const Code code = error == EACCES || error == EPERM || error == EROFS ? Code::permission : error == ENOSPC || error == EDQUOT ? Code::no_space : error == ENOENT ? Code::not_found : Code::io;
    throw Error(code, what + ": " + std::strerror(error)).because(error);
}

std::string directory_of(const std::string& target) {
    const size_t slash = target.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : target.substr(0, slash);
}

// A file beside the target that has no name until it is whole: a killed process leaves nothing.
class Output {
public:
    explicit Output(const std::string& target) : target_(target) {
        directory_ = directory_of(target);
        fd_ = open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0777);
        if (fd_ >= 0) return;
        if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT) failed("cannot write into " + directory_, errno);
        named_ = temporary_name();  // a file system without such files
        fd_ = open(named_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0777);
        if (fd_ < 0) named_.clear(), failed("cannot write into " + directory_, errno);
    }
    Output(const Output&) = delete;
    ~Output() {
        if (fd_ >= 0) close(fd_);
        if (!named_.empty()) unlink(named_.c_str());
    }

    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) failed("cannot write " + target_, errno);
            bytes.remove_prefix(static_cast<size_t>(n));
        }
    }

    void publish(bool force) {
        if (fsync(fd_) != 0) failed("cannot write " + target_, errno);
        if (named_.empty()) {
            named_ = temporary_name();
            const std::string self = "/proc/self/fd/" + std::to_string(fd_);
            if (linkat(AT_FDCWD, self.c_str(), AT_FDCWD, named_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
                const int error = errno;
                named_.clear();
                failed("cannot write " + target_, error);
            }
        }
        // Without --force somebody may have made one meanwhile.
        if (!force) {
            if (link(named_.c_str(), target_.c_str()) != 0) {
                if (errno == EEXIST) throw Error(Code::exists, target_ + " has appeared meanwhile", "Add --force to replace it.");
                if (errno != EPERM && errno != EOPNOTSUPP) failed("cannot write " + target_, errno);
                if (rename(named_.c_str(), target_.c_str()) != 0) failed("cannot write " + target_, errno);
                named_.clear();
            }
            return;
        }
        if (rename(named_.c_str(), target_.c_str()) != 0) failed("cannot write " + target_, errno);
        named_.clear();
    }

private:
    std::string temporary_name() const {
        return directory_ + "/." + target_.substr(target_.rfind('/') + 1) + "." + std::to_string(getpid()) + ".remote";
    }
    std::string target_, directory_, named_;
    int fd_ = -1;
};

class Sha256 {
public:
    Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
        if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) throw Error(Code::internal, "no SHA-256");
    }
    void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
    std::string text() {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        EVP_DigestFinal_ex(context_.get(), digest, &size);
        static constexpr char digits[] = "0123456789abcdef";
        std::string out = "sha256.";
        for (unsigned i = 0; i < size; ++i) out.append({digits[digest[i] >> 4], digits[digest[i] & 15]});
        return out;
    }

private:
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

bool is_checksum(const std::string& text) {
    return text.size() == 7 + 64 && text.starts_with("sha256.") && std::all_of(text.begin() + 7, text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string image_path(const char* kind, const LibraryRef& ref, const std::string& arch) {
    return std::string("v1/") + kind + "/" + ref.path() + ":" + ref.first_tag() + "?arch=" + arch;
}

std::string expected_checksum(const remotes::Service& library, const LibraryRef& ref, const BuildInfo& info, const std::string& arch, const Host& host) {
    std::string sum = info.checksum;
    std::string who = "the builder";
    if (sum.empty()) {
        remotes::Call call;
        call.path = image_path("images", ref, arch);
        const auto data = library.data(call, host);
        if (!data) throw Error(Code::not_found, ref.text() + " is not in the library at " + library.base());
        sum = singularity::json::Document(*data, "the answer of the library at " + library.base(), remotes::max_answer).root()["hash"].text_or();
        who = "the library at " + library.base();
    }
    if (!is_checksum(sum)) throw Error(Code::corrupt, who + " gives no SHA-256 of the image that was built (\"" + singularity::json::printable(sum) + "\")");
    return sum;
}

// One request, from byte `done` on.
void download(const remotes::Service& library, const LibraryRef& ref, const std::string& arch, uint64_t size, uint64_t& done, Output& output, Sha256& sum, singularity::Task& task,
              const Host& host) {
    remotes::Call call;
    call.path = image_path("imagefile", ref, arch);
    call.range_begin = done;
    auto answer = library.send(call, host);
    const unsigned status = answer.status();
    const auto body = answer.body();
    if (status != 200 && status != 206) library.refuse({status, singularity::read_all(*body, remotes::max_answer, "the answer of the library")}, "cannot fetch " + ref.text());
    // A server without ranges begins anew.
    uint64_t pass = status == 200 ? done : 0;
    for (;;) {
        const singularity::Slice s = body->next();
        if (s.size() == 0) return;
        std::string_view bytes = s.text();
        const size_t known = static_cast<size_t>(std::min<uint64_t>(pass, bytes.size()));
        bytes.remove_prefix(known);
        pass -= known;
        if (bytes.size() > size - done) throw Error(Code::corrupt, ref.text() + " is larger than the " + std::to_string(size) + " bytes that the builder made");
        output.write(bytes);
        sum.add(bytes);
        done += bytes.size();
        task.advance(bytes.size());
    }
}

}  // namespace

void check_target(const std::string& target, bool force) {
    const std::string directory = directory_of(target);
    if (access(directory.c_str(), W_OK | X_OK) != 0) failed("cannot write into " + directory, errno);
    struct stat st {};
    if (lstat(target.c_str(), &st) != 0) return;
    if (S_ISDIR(st.st_mode)) throw Error(Code::exists, "will not replace the directory " + target + " by a file", "Name another target, or remove the directory yourself.");
    if (!force) throw Error(Code::exists, "stopping build: " + target + " exists", "Add --force to replace it.");
}

void fetch_result(const remotes::Service& library, const LibraryRef& ref, const BuildInfo& info, const std::string& arch, const std::string& target, bool force,
                  const Host& host) {
    const std::string expected = expected_checksum(library, ref, info, arch, host);
    Output output(target);
    Sha256 sum;
    uint64_t done = 0;
    singularity::Task task = host.task("Downloading " + ref.text(), info.size);
    for (int tries = 0; done < info.size;) {
        const uint64_t before = done;
        try {
            download(library, ref, arch, info.size, done, output, sum, task, host);
            if (done == before) throw Error(Code::network, ref.text() + " ends after " + std::to_string(done) + " of " + std::to_string(info.size) + " bytes");
        } catch (const Error& e) {
            if (e.code() != Code::network && e.code() != Code::timeout) throw;
            tries = done == before ? tries + 1 : 0;
            if (tries == max_tries) throw;
            host.debug(e.message() + ": trying again from byte " + std::to_string(done));
        }
    }
    if (const std::string got = sum.text(); got != expected)
        throw Error(Code::corrupt, ref.text() + " is not what was built: its checksum is " + got + " and not " + expected, "Nothing was written.");
    task.done();
    output.publish(force);
}

}  // namespace remote_build
