#include "remotes/file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <singularity/error.hpp>

#include "remotes/yaml.hpp"

namespace remotes {

using singularity::Code;
using singularity::Error;

namespace {

constexpr uint64_t file_limit = 1 << 20;

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
    const Code code = e == EACCES || e == EPERM || e == EROFS ? Code::permission
                      : e == ENOSPC || e == EDQUOT            ? Code::no_space
                      : e == ENOENT                           ? Code::not_found
                                                              : Code::io;
    throw Error(code, what + " " + path + ": " + std::strerror(e));
}

// Where a link leads, so that a file kept elsewhere is replaced there.
std::string real_path(const std::string& path) {
    char buffer[PATH_MAX];
    return ::realpath(path.c_str(), buffer) ? buffer : path;
}

void replace(const std::string& path, const std::string& text, mode_t mode) {
    std::string name = path + ".XXXXXX";
    const Fd fd(::mkostemp(name.data(), O_CLOEXEC));
    if (fd.get() < 0) fail("cannot write", path);
    const auto give_up = [&] {
        const int e = errno;
        ::unlink(name.c_str());
        errno = e;
        fail("cannot write", path);
    };
    for (size_t done = 0; done < text.size();) {
        const ssize_t n = ::write(fd.get(), text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) give_up();
        done += static_cast<size_t>(n);
    }
    if (::fchmod(fd.get(), mode) != 0 || ::fsync(fd.get()) != 0 || ::rename(name.c_str(), path.c_str()) != 0) give_up();
}

// The token that Singularity before 3.5 kept.
std::string old_token(const Paths& paths) {
    std::string text = read_small_file(paths.old_token, file_limit);
    text.resize(std::min(text.find_first_of("\r\n"), text.size()));
    return text;
}

// Once there is a remote.yaml it has that token, or somebody has logged out.
Config with_old_token(Config config, const Paths& paths) {
    if (Remote* remote = config.find(default_remote); remote && remote->uri == default_remote_uri)
        remote->token = old_token(paths);
    return config;
}

std::string edit(const std::string& link, mode_t mode, const std::function<Config()>& read,
                 const std::function<void(Config&)>& change) {
    const std::string path = real_path(link), directory = path.substr(0, path.rfind('/'));
    if (::mkdir(directory.c_str(), mode == 0600 ? 0700 : 0755) != 0 && errno != EEXIST) fail("cannot make", directory);
    const Fd lock(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (lock.get() < 0) fail("cannot open", directory);
    // A file system without locks: the rename still keeps the file whole.
    while (::flock(lock.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
    Config config = read();
    change(config);
    replace(path, print_config(config), mode);
    return link;
}

}  // namespace

std::string read_small_file(const std::string& path, uint64_t limit) {
    if (path.empty()) return {};
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (fd.get() < 0 && (errno == ENOENT || errno == ENOTDIR)) return {};
    struct stat st {};
    if (fd.get() < 0 || ::fstat(fd.get(), &st) != 0) fail("cannot open", path);
    if (!S_ISREG(st.st_mode)) throw Error(Code::invalid, path + " is no regular file");
    std::string out;
    char buffer[8192];
    for (;;) {
        const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("cannot read", path);
        if (n == 0) return out;
        out.append(buffer, static_cast<size_t>(n));
        if (out.size() > limit) throw Error(Code::limit, path + " is larger than " + std::to_string(limit) + " bytes");
    }
}

Config read_system(const Paths& paths) {
    const std::string text = read_small_file(paths.system, file_limit);
    if (text.empty()) return default_config();
    Config config = parse_config(text, paths.system);
    for (Remote& r : config.remotes) r.system = true;
    return config;
}

Config read_user(const Paths& paths) {
    const std::string mine = read_small_file(paths.user, file_limit), site = read_small_file(paths.system, file_limit);
    Config config = mine.empty() ? Config() : parse_config(mine, paths.user);
    if (!site.empty())
        config.merge_site(parse_config(site, paths.system));
    else if (config.remotes.empty())
        config.merge_site(default_config());
    return mine.empty() ? with_old_token(std::move(config), paths) : config;
}

std::string edit_user(const Paths& paths, const std::function<void(Config&)>& change) {
    if (paths.user.empty())
        throw Error(Code::not_found, "this account has no home directory to keep remote.yaml in", "Set HOME.");
    if (paths.foreign_home)
        throw Error(Code::permission,
                    "the home directory of " + paths.user + " belongs to another user: nothing is written there",
                    "With sudo: sudo -H");
    return edit(
        paths.user, 0600, [&] { return read_user(paths); }, change);
}

std::string edit_system(const Paths& paths, const std::function<void(Config&)>& change) {
    return edit(
        paths.system, 0644, [&] { return read_system(paths); }, change);
}

}  // namespace remotes
