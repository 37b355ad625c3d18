#include "build/files_source.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "base/error.hpp"
#include "build/descriptor_stream.hpp"
#include "base/unique_fd.hpp"
#include "metadata/image_files.hpp"

namespace sg {

using singularity::ForeignRoot;
using singularity::Slice;
using singularity::Stream;

namespace {

class HostFiles final : public FilesSource {
public:
    explicit HostFiles(std::string directory) : directory_(std::move(directory)) {}

    std::optional<Entry> look(const std::string& path, bool follow) const override {
        struct stat st;
        if (fstatat(AT_FDCWD, place(path).c_str(), &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG) return std::nullopt;
            throw_errno("cannot look at", path);
        }
        return Entry{st.st_mode, static_cast<uint64_t>(st.st_size), st.st_mtime, major(st.st_rdev), minor(st.st_rdev), st.st_uid, st.st_gid, static_cast<uint32_t>(st.st_nlink), {st.st_dev, st.st_ino}};
    }
    std::vector<std::string> names(const std::string& directory) const override {
        DIR* d = opendir(place(directory).c_str());
        if (!d) throw_errno("cannot read the directory", directory);
        std::vector<std::string> out;
        errno = 0;
        while (const dirent* e = readdir(d)) {
            const std::string name = e->d_name;
            if (name != "." && name != "..") out.push_back(name);
        }
        const int error = errno;
        closedir(d);
        if (error != 0) throw system_error(error, "cannot read the directory", directory);
        std::sort(out.begin(), out.end());
        return out;
    }
    std::string link_target(const std::string& path) const override {
        char text[PATH_MAX];
        const ssize_t n = readlink(place(path).c_str(), text, sizeof text);
        if (n < 0) throw_errno("cannot read the link", path);
        return {text, static_cast<size_t>(n)};
    }
    std::unique_ptr<Stream> open(const std::string& path) const override {
        UniqueFd fd(::open(place(path).c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
        if (!fd) throw_errno("cannot open", path);
        return std::make_unique<DescriptorStream>(std::move(fd), path);
    }
    std::string shown(const std::string& path) const override { return path; }

private:
    std::string place(const std::string& path) const { return !path.empty() && path[0] == '/' ? path : directory_ + "/" + path; }
    std::string directory_;
};

class ReaderStream final : public Stream {
public:
    ReaderStream(const ForeignRoot& root, uint64_t node, uint64_t size) : root_(root), node_(node), size_(size) {}
    Slice next() override {
        if (at_ == size_) return {};
        Slice s = root_.block(node_, at_);
        if (s.size() == 0 || s.size() > size_ - at_) throw Error(Code::corrupt, "a file of a stage has other bytes than its size says");
        at_ += s.size();
        return s;
    }

private:
    const ForeignRoot& root_;
    const uint64_t node_, size_;
    uint64_t at_ = 0;
};

class StageFiles final : public FilesSource {
public:
    StageFiles(const ForeignRoot& root, std::string stage) : root_(root), stage_(std::move(stage)) {}

    std::optional<Entry> look(const std::string& path, bool follow) const override {
        const uint64_t node = find(path, follow);
        if (node == SG_NO_NODE) return std::nullopt;
        const sg_attr a = root_.stat(node);
        return Entry{a.mode, a.size, a.mtime, a.major, a.minor, a.uid, a.gid, a.nlink, {0, a.inode}};
    }
    std::vector<std::string> names(const std::string& directory) const override { return names_in(root_, directory); }
    std::string link_target(const std::string& path) const override { return root_.link_target(find(path, false)); }
    std::unique_ptr<Stream> open(const std::string& path) const override {
        const uint64_t node = find(path, true);
        return std::make_unique<ReaderStream>(root_, node, root_.stat(node).size);
    }
    std::optional<std::pair<ForeignRoot, uint64_t>> stored(const std::string& path) const override { return std::pair(root_, find(path, true)); }
    std::string shown(const std::string& path) const override { return path + " of stage '" + stage_ + "'"; }

private:
    uint64_t find(const std::string& path, bool follow) const {
        if (follow) return resolve_inside(root_, path);
        std::string_view rest = path;
        while (rest.size() > 1 && rest.ends_with('/')) rest.remove_suffix(1);
        const size_t slash = rest.rfind('/');
        const std::string_view name = slash == std::string_view::npos ? rest : rest.substr(slash + 1);
        if (name.empty() || name == "." || name == "..") return resolve_inside(root_, path);
        const uint64_t parent = resolve_inside(root_, slash == std::string_view::npos ? std::string_view("/") : rest.substr(0, slash + 1));
        if (parent == SG_NO_NODE || !S_ISDIR(root_.stat(parent).mode)) return SG_NO_NODE;
        return root_.lookup(parent, name);
    }

    const ForeignRoot& root_;
    std::string stage_;
};

bool is_pattern(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

void expand(const FilesSource& source, const std::string& done, std::string_view rest, std::vector<std::string>& out) {
    // `done` ends with '/' or is empty; `rest` is what is still a pattern.
    const size_t slash = rest.find('/');
    const std::string part(rest.substr(0, slash));
    const std::string_view after = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    const bool last = slash == std::string_view::npos;
    const auto go_on = [&](const std::string& name) {
        const std::string path = done + name;
        if (last) {
            if (source.look(path, false)) out.push_back(path);
            return;
        }
        const auto entry = source.look(path, true);
        if (entry && S_ISDIR(entry->mode)) expand(source, path + "/", after, out);
    };
    if (part.empty() || !is_pattern(part)) {
        if (part.empty() && last)
            out.push_back(done);
        else if (part.empty())
            expand(source, done + "/", after, out);
        else
            go_on(part);
        return;
    }
    for (const std::string& name : source.names(done.empty() ? "." : done))
        if (fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) == 0) go_on(name);
}

}  // namespace

std::unique_ptr<FilesSource> host_files(std::string directory) { return std::make_unique<HostFiles>(std::move(directory)); }

std::unique_ptr<FilesSource> stage_files(const ForeignRoot& root, std::string stage) { return std::make_unique<StageFiles>(root, std::move(stage)); }

std::vector<std::string> expand_pattern(const FilesSource& source, const std::string& pattern) {
    std::vector<std::string> out;
    // A file may have such a name.
    if (!is_pattern(pattern) || source.look(pattern, false)) {
        if (source.look(pattern, false)) out.push_back(pattern);
        return out;
    }
    expand(source, "", pattern, out);
    return out;
}

}  // namespace sg
