#include "store/image_cache.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "store/output.hpp"
#include "store/private_directory.hpp"
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

// Other versions keep a file of that name; it stays, and ours go beside it.
std::string directory_of(const std::string& area, const std::string& key) {
    std::string path = area + "/" + hash_of(key);
    struct stat st;
    if (lstat(path.c_str(), &st) == 0 && !S_ISDIR(st.st_mode)) path += ".d";
    return path;
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
    return std::to_string(st.st_size) + " " + std::to_string(st.st_mtim.tv_sec) + "." +
           std::to_string(st.st_mtim.tv_nsec) + " " + std::to_string(st.st_ino) + "\n";
}

constexpr size_t most_note = 4 << 20;

std::string read_beginning(const std::string& path, size_t most) {
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    std::string out;
    char buffer[4096];
    while (fd && out.size() < most) {
        const ssize_t n = read(fd.get(), buffer, std::min(sizeof buffer, most - out.size()));
        if (n <= 0) break;
        out.append(buffer, static_cast<size_t>(n));
    }
    return out;
}

// The line that tells whether an entry is as it was stored; a note stands below it.
std::string read_stamp(const std::string& path) {
    const std::string text = read_beginning(path, 256);
    return text.substr(0, text.find('\n') + 1);
}

bool fits(const std::string& path, const struct stat& st, bool same_inode) {
    const std::string stamp = read_stamp(stamp_path(path)), now = stamp_text(st);
    const auto without_inode = [](const std::string& s) { return s.substr(0, s.rfind(' ')); };
    return same_inode ? stamp == now : without_inode(stamp) == without_inode(now);
}

}  // namespace

std::optional<std::string> ImageCache::find(const std::string& area, const std::string& key,
                                            const std::string& name) const {
    check_word(area, "area");
    check_word(name, "name");
    if (enabled())
        if (auto path = find_in(root_, area, key, name, true)) return path;
    // A copy of a site's cache has other inodes.
    if (!shared_.empty())
        if (auto path = find_in(shared_, area, key, name, false)) return path;
    return std::nullopt;
}

std::optional<std::string> ImageCache::find_in(const std::string& root, const std::string& area, const std::string& key,
                                               const std::string& name, bool same_inode) const {
    const std::string path = directory_of(root + "/" + area, key) + "/" + name;
    struct stat st;
    if (lstat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return std::nullopt;
    if (!fits(path, st, same_inode)) {
        log::verbose("the cached image " + path + " is not as it was stored, it is not used");
        return std::nullopt;
    }
    return path;
}

bool ImageCache::present(const std::string& area, const std::string& key, const std::string& name) const {
    struct stat st;
    return lstat((directory_of(root_ + "/" + area, key) + "/" + name).c_str(), &st) == 0;
}

std::string ImageCache::place(const std::string& area, const std::string& key, const std::string& name) const {
    check_word(area, "area");
    check_word(name, "name");
    make_cache_root(root_);
    make_private_directory(root_ + "/" + area);
    const std::string directory = directory_of(root_ + "/" + area, key);
    make_private_directory(directory);
    return directory + "/" + name;
}

bool ImageCache::as_stored(const std::string& path) const {
    struct stat st;
    const bool own = shared_.empty() || !path.starts_with(shared_ + "/");
    return lstat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && fits(path, st, own);
}

std::string ImageCache::note_of(const std::string& path) const {
    if (!as_stored(path)) return {};
    const std::string text = read_beginning(stamp_path(path), most_note);
    return text.substr(text.find('\n') + 1);
}

void ImageCache::stored(const std::string& path, const std::string& note, bool sync) const {
    struct stat st;
    if (lstat(path.c_str(), &st) != 0) throw_errno("cannot look at", path);
    // Two who made the same may store it at once: whoever comes second replaces the file and its stamp in two steps,
    // and in between goes the stamp of the first. The last one to write it looks last, and sees the file that stays.
    for (int tries = 0; tries < 10; ++tries) {
        OutputFile stamp(stamp_path(path));
        const std::string text = stamp_text(st), all = text + note;
        if (write(stamp.fd(), all.data(), all.size()) != static_cast<ssize_t>(all.size()))
            throw_errno("cannot write", stamp.target());
        fchmod(stamp.fd(), 0600);
        stamp.commit(sync);
        if (lstat(path.c_str(), &st) != 0 || stamp_text(st) == text) return;
    }
}

}  // namespace sg
