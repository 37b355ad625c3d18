#include "store/new_file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"
#include "store/output.hpp"
#include "store/owner.hpp"
#include "store/private_directory.hpp"

namespace sg {

namespace {

constexpr time_t a_day = 24 * 60 * 60;

std::string new_name(const std::string& directory) {
    unsigned long long bits = 0;
    if (getrandom(&bits, sizeof bits, 0) != sizeof bits) throw_errno("cannot get random bytes", "");
    char text[20];
    std::snprintf(text, sizeof text, "%016llx", bits);
    return directory + "/" + Owner::self().text() + "-" + text;
}

}  // namespace

NewFile::NewFile(const std::string& root) : directory_(root + "/tmp") {
    make_private_directory(directory_);
    fd_.reset(open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd_) return;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOTSUP && errno != EINVAL) throw_errno("cannot write to", directory_);
    const std::string name = new_name(directory_);
    fd_.reset(open(name.c_str(), O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600));
    if (!fd_) throw_errno("cannot write to", directory_);
    name_ = name;
}

NewFile::~NewFile() {
    if (fd_ && !name_.empty()) unlink(name_.c_str());
}

void NewFile::append(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot write to the cache", directory_);
        size_ += static_cast<uint64_t>(n);
        bytes.remove_prefix(static_cast<size_t>(n));
    }
}

void NewFile::append(const singularity::Slice& slice) {
    if (!slice.is_hole()) return append(slice.text());
    size_ += slice.size();
    if (ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0) throw_errno("cannot write to the cache", directory_);
}

void NewFile::place(const std::string& path, bool sync) {
    if (sync && fsync(fd_.get()) != 0) throw_errno("cannot write", path);
    if (name_.empty()) {
        const std::string name = new_name(directory_);
        const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
        if (linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0) throw_errno("cannot write", path);
        name_ = name;
    }
    if (rename(name_.c_str(), path.c_str()) != 0) {
        if (errno != EISDIR && errno != ENOTEMPTY && errno != EEXIST) throw_errno("cannot write", path);
        log::verbose("removing the directory " + path + ", which does not belong there");
        remove_tree(path);
        if (rename(name_.c_str(), path.c_str()) != 0) throw_errno("cannot write", path);
    }
    name_.clear();
}

void write_cache_file(const std::string& root, const std::string& path, std::string_view bytes) {
    NewFile file(root);
    file.append(bytes);
    file.place(path);
}

void remove_left_over(const std::string& root) {
    const std::string directory = root + "/tmp";
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(directory.c_str()), closedir);
    if (!dir) return;
    while (const dirent* e = readdir(dir.get())) {
        const std::string name = e->d_name;
        if (name == "." || name == "..") continue;
        struct stat st;
        if (fstatat(dirfd(dir.get()), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
        const auto owner = Owner::parse(std::string_view(name).substr(0, name.rfind('-')));
        const bool old = st.st_mtim.tv_sec < time(nullptr) - a_day;
        if (owner && owner->state() == Owner::State::alive) continue;
        if (!old && (!owner || owner->state() == Owner::State::unknown)) continue;
        log::verbose("removing " + directory + "/" + name + ", left by a run that was killed");
        try {
            remove_tree(directory + "/" + name);
        } catch (const Error& error) {
            log::verbose(error.message());
        }
    }
}

}  // namespace sg
