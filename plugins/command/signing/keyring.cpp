#include "signing/keyring.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

#include <singularity/error.hpp>

namespace signing {

using singularity::Code;
using singularity::Error;

namespace {

constexpr off_t ring_limit = 64 << 20;

class Fd {
public:
    explicit Fd(int fd) : fd_(fd) {}
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }

private:
    int fd_;
};

[[noreturn]] void fail(const std::string& what, const std::string& path) {
    const int e = errno;
    const Code code = e == EACCES || e == EPERM ? Code::permission : e == ENOSPC ? Code::no_space : e == ENOENT ? Code::not_found : Code::io;
    throw Error(code, what + " " + path + ": " + std::strerror(e));
}

// "" when it is not there.
std::string read_ring(const std::string& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (fd.get() < 0 && errno == ENOENT) return {};
    struct stat st {};
    if (fd.get() < 0 || ::fstat(fd.get(), &st) != 0) fail("cannot open", path);
    if (!S_ISREG(st.st_mode)) throw Error(Code::invalid, path + " is no file");
    if (st.st_size > ring_limit) throw Error(Code::limit, path + " is larger than 64 MiB");
    std::string out(static_cast<size_t>(st.st_size), '\0');
    size_t done = 0;
    while (done < out.size()) {
        const ssize_t n = ::read(fd.get(), out.data() + done, out.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("cannot read", path);
        if (n == 0) break;
        done += static_cast<size_t>(n);
    }
    out.resize(done);
    return out;
}

std::string home() {
    if (const char* h = std::getenv("HOME"); h && *h == '/') return h;
    const passwd* p = ::getpwuid(::geteuid());
    if (p && p->pw_dir) return p->pw_dir;
    throw Error(Code::not_found, "this account has no home directory to keep keys in", "set SINGULARITY_KEYSDIR");
}

void make_directories(const std::string& path) {
    for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        const std::string part = path.substr(0, slash);
        if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) fail("cannot make", part);
        if (slash == std::string::npos) return;
    }
}

}  // namespace

class KeyRing::Lock {
public:
    explicit Lock(const std::string& directory) {
        make_directories(directory);
        fd_.emplace(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (fd_->get() < 0) fail("cannot open", directory);
        // A file system without locks: the rename still keeps each ring whole.
        while (::flock(fd_->get(), LOCK_EX) != 0 && errno == EINTR) {
        }
    }

private:
    std::optional<Fd> fd_;
};

KeyRing KeyRing::of_user() {
    for (const char* name : directory_variables)
        if (const char* set = std::getenv(name); set && *set) return KeyRing(set);
    return KeyRing(home() + "/.singularity/sypgp");
}

KeyRing KeyRing::of_site(const std::string& file) {
    KeyRing ring;
    if (!file.empty()) ring.keys_->add(read_ring(file));
    return ring;
}

KeyRing::KeyRing(std::string directory) : directory_(std::move(directory)) { reload(); }

void KeyRing::reload() {
    keys_ = std::make_unique<Keys>();
    for (const char* name : {"pgp-public", "pgp-secret"}) {
        const std::string path = directory_ + "/" + name;
        try {
            keys_->add(read_ring(path));
        } catch (const Error& e) {
            if (e.code() == Code::invalid) throw e.within(path);
            throw;
        }
    }
}

void KeyRing::write(bool secret, const std::string& bytes) {
    const std::string path = directory_ + (secret ? "/pgp-secret" : "/pgp-public"), temporary = path + "." + std::to_string(::getpid());
    ::unlink(temporary.c_str());
    try {
        const Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (fd.get() < 0) fail("cannot write", temporary);
        for (size_t done = 0; done < bytes.size();) {
            const ssize_t n = ::write(fd.get(), bytes.data() + done, bytes.size() - done);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) fail("cannot write", temporary);
            done += static_cast<size_t>(n);
        }
        if (::fsync(fd.get()) != 0) fail("cannot write", temporary);
        if (::rename(temporary.c_str(), path.c_str()) != 0) fail("cannot replace", path);
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
}

std::vector<std::string> KeyRing::add(std::string_view bytes) {
    const Lock lock(directory_);
    reload();
    const auto came = keys_->add(bytes);
    write(false, keys_->ring(false));
    if (!keys_->list(true).empty()) write(true, keys_->ring(true));
    return came;
}

void KeyRing::remove(const std::string& fingerprint, bool secret) {
    const Lock lock(directory_);
    reload();
    keys_->remove(fingerprint, secret);
    write(secret, keys_->ring(secret));
}

void KeyRing::keep(const std::string& fingerprint) {
    const std::string bytes = keys_->exported(fingerprint, false, false) + keys_->exported(fingerprint, true, false);
    add(bytes);
}

}  // namespace signing
