#include "store/image_cache.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "store/output.hpp"
#include "store/sha256.hpp"

namespace sg {

namespace {

// The directory of a key: the hex of a sha256 digest as it is, of any other text its hash.
std::string hash_of(const std::string& key) {
    const std::string prefix = "sha256:";
    if (key.compare(0, prefix.size(), prefix) == 0 && key.size() == prefix.size() + 64 &&
        key.find_first_not_of("0123456789abcdef", prefix.size()) == std::string::npos)
        return key.substr(prefix.size());
    return sha256_hex(key);
}

void check_word(const std::string& word, const char* what) {
    if (word.empty() || word == "." || word == ".." || word.find('/') != std::string::npos)
        throw Error(Code::internal, std::string("not a usable ") + what + " for the cache: '" + word + "'");
}

std::string stamp_path(const std::string& path) {
    const auto slash = path.rfind('/');
    return path.substr(0, slash + 1) + "." + path.substr(slash + 1) + ".stamp";
}

std::string stamp_text(const struct stat& st) {
    return std::to_string(st.st_size) + " " + std::to_string(st.st_mtim.tv_sec) + "." + std::to_string(st.st_mtim.tv_nsec) +
           " " + std::to_string(st.st_ino) + "\n";
}

std::string read_small(const std::string& path) {
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    char buffer[256];
    const ssize_t n = fd ? read(fd.get(), buffer, sizeof buffer) : -1;
    return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : std::string();
}

void make_private(const std::string& path) {
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) throw_errno("cannot make", path);
    struct stat st;
    if (lstat(path.c_str(), &st) != 0) throw_errno("cannot look at", path);
    if (!S_ISDIR(st.st_mode))
        throw Error(Code::invalid, path + " is no directory", "Remove it, or name another place by SINGULARITY_CACHEDIR.");
    if (st.st_uid == geteuid() && (st.st_mode & 077) != 0) chmod(path.c_str(), 0700);
}

}  // namespace

std::optional<std::string> ImageCache::find(const std::string& area, const std::string& key, const std::string& name) const {
    if (!enabled()) return std::nullopt;
    check_word(area, "area");
    check_word(name, "name");
    const std::string path = root_ + "/" + area + "/" + hash_of(key) + "/" + name;
    struct stat st;
    if (lstat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return std::nullopt;
    if (read_small(stamp_path(path)) != stamp_text(st)) {
        log::verbose("the cached image " + path + " is not as it was stored, it is made again");
        return std::nullopt;
    }
    return path;
}

std::string ImageCache::place(const std::string& area, const std::string& key, const std::string& name) const {
    check_word(area, "area");
    check_word(name, "name");
    // Every parent of the root, as `mkdir -p` does; from the root on private.
    for (size_t at = 1; (at = root_.find('/', at)) != std::string::npos; ++at)
        if (mkdir(root_.substr(0, at).c_str(), 0755) != 0 && errno != EEXIST) throw_errno("cannot make", root_.substr(0, at));
    make_private(root_);
    make_private(root_ + "/" + area);
    const std::string dir = root_ + "/" + area + "/" + hash_of(key);
    make_private(dir);
    return dir + "/" + name;
}

void ImageCache::stored(const std::string& path) const {
    struct stat st;
    if (lstat(path.c_str(), &st) != 0) throw_errno("cannot look at", path);
    OutputFile stamp(stamp_path(path));
    const std::string text = stamp_text(st);
    if (write(stamp.fd(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) throw_errno("cannot write", stamp.target());
    fchmod(stamp.fd(), 0600);
    stamp.commit();
}

std::string cache_root(const std::string& configured, bool disabled) {
    if (disabled) return "";
    if (!configured.empty()) return configured + "/cache";
    const char* home = std::getenv("HOME");
    std::string base = home && *home == '/' ? home : "";
    if (base.empty()) {
        const passwd* pw = getpwuid(geteuid());
        base = pw && pw->pw_dir ? pw->pw_dir : "";
    }
    struct stat st;
    if (base.empty() || stat(base.c_str(), &st) != 0) {
        log::warning("no home directory: nothing is cached");
        return "";
    }
    if (st.st_uid != geteuid()) {
        log::verbose("the home directory " + base + " is somebody else's: nothing is cached there");
        return "";
    }
    return base + "/.singularity/cache";
}

}  // namespace sg
