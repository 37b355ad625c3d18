#include "build/segment_image.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "base/error.hpp"
#include "store/cache_file.hpp"

namespace sg {

namespace {

// SIZE MTIME INODE CTIME, a newline, and the path: relative to the cache when it lies there. The time of the inode is
// told of files outside only: the cache's own get it anew whenever they are used.
struct Description {
    std::string size_and_time, inode, change, path;
};

std::string time_text(const timespec& t) { return std::to_string(t.tv_sec) + "." + std::to_string(t.tv_nsec); }

Description of(const struct stat& st, bool is_outside) {
    return {std::to_string(st.st_size) + " " + time_text(st.st_mtim),
            std::to_string(st.st_ino),
            is_outside ? time_text(st.st_ctim) : "-",
            {}};
}

Description parse(const std::string& text) {
    Description d;
    const auto end = text.find('\n');
    const std::string line = text.substr(0, end);
    const auto third = line.rfind(' '), second = line.rfind(' ', third == std::string::npos ? third : third - 1);
    if (end == std::string::npos || third == std::string::npos || second == std::string::npos || second == third)
        throw Error(Code::corrupt, "it is damaged: it names no image");
    d.size_and_time = line.substr(0, second);
    d.inode = line.substr(second + 1, third - second - 1);
    d.change = line.substr(third + 1);
    d.path = text.substr(end + 1);
    return d;
}

std::string real_path(const std::string& path) {
    char buffer[PATH_MAX];
    return realpath(path.c_str(), buffer) ? buffer : "";
}

bool fits(const Description& then, const struct stat& st, bool is_shared) {
    const bool is_outside = then.path.starts_with('/');
    const Description now = of(st, is_outside);
    return now.size_and_time == then.size_and_time &&
           (is_shared || (now.inode == then.inode && now.change == then.change)) &&
           (!is_outside || (!is_shared && st.st_uid == geteuid()));
}

}  // namespace

std::string SegmentImage::describe(const std::string& path, const std::string& root) {
    std::string real = real_path(path);
    struct stat st;
    if (real.empty() || lstat(real.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return {};
    const std::string directory = real_path(root) + "/";
    const bool is_outside = directory.size() < 2 || !real.starts_with(directory);
    if (!is_outside) real.erase(0, directory.size());
    const Description d = of(st, is_outside);
    return d.size_and_time + " " + d.inode + " " + d.change + "\n" + real;
}

UniqueFd SegmentImage::open(const std::string& text, const std::string& root, bool is_shared) {
    const Description then = parse(text);
    const std::string path = then.path.starts_with('/') ? then.path : root + "/" + then.path;
    uint64_t size = 0;
    UniqueFd fd = open_cache_file(path, size);
    struct stat st;
    if (!fd || fstat(fd.get(), &st) != 0) throw Error(Code::not_found, path + " is no longer there");
    if (!fits(then, st, is_shared)) throw Error(Code::not_found, path + " was changed");
    return fd;
}

bool SegmentImage::is_unchanged(int fd, const std::string& text, bool is_shared) {
    struct stat st;
    if (fstat(fd, &st) != 0) return false;
    const Description then = parse(text);
    // To lose its name, because another takes its place, changes a file's inode too.
    return st.st_nlink == 0 ? of(st, false).size_and_time == then.size_and_time : fits(then, st, is_shared);
}

}  // namespace sg
