#include "sandbox/writer.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_set>

namespace sandbox {

using singularity::Code;
using singularity::Error;
using singularity::Host;
using singularity::Slice;

namespace {

constexpr unsigned most_threads = 16;

}  // namespace

DirectoryWriter::DirectoryWriter(const singularity::CreateSpec& spec)
    : path_(spec.path),
      staging_name_(".contents"),
      root_(::open(spec.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
      as_root_(::geteuid() == 0) {
    if (!root_) throw_errno("cannot open the directory", path_);
    if (::mkdirat(root_.get(), staging_name_.c_str(), 0700) != 0)
        throw_errno("cannot make", path_ + "/" + staging_name_);
    staging_ = Fd(::openat(root_.get(), staging_name_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!staging_) throw_errno("cannot open", path_ + "/" + staging_name_);
    packed_.emplace(staging_.get(), path_ + "/" + staging_name_ + "/packed");
}

uint64_t DirectoryWriter::content(const char* hint, uint64_t size, singularity::Stream& data, const Host& host) {
    const std::string path = path_ + "/" + hint;
    if (packed_->has_room(size)) return small_content(size, data, host, path);
    const uint64_t id = contents_.size();
    const std::string name = std::to_string(id);
    const Fd file(::openat(staging_.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file) throw_errno("cannot create", path);
    uint64_t at = 0;
    bool ends_in_hole = false;
    for (Slice s = data.next(); s.size() > 0; s = data.next()) {
        host.poll();
        if (s.size() > static_cast<uint64_t>(INT64_MAX) - at) throw Error(Code::limit, path + " is too large");
        if (!s.is_hole()) write_all(file.get(), s, at, path);
        ends_in_hole = s.is_hole();
        at += s.size();
    }
    if (size != SG_SIZE_UNKNOWN && size != at)
        throw Error(Code::corrupt, path + " has " + std::to_string(at) + " bytes instead of " + std::to_string(size));
    if (at == 0) {
        if (::unlinkat(staging_.get(), name.c_str(), 0) != 0) throw_errno("cannot remove", path);
        return SG_NO_CONTENT;
    }
    if (ends_in_hole && ::ftruncate(file.get(), static_cast<off_t>(at)) != 0) throw_errno("cannot write", path);
    contents_.emplace_back();
    return id;
}

uint64_t DirectoryWriter::small_content(uint64_t size, singularity::Stream& data, const Host& host,
                                        const std::string& path) {
    small_.clear();
    uint64_t at = 0;
    for (Slice s = data.next(); s.size() > 0; s = data.next()) {
        host.poll();
        if (s.size() > size - at)
            throw Error(Code::corrupt,
                        path + " has more than the " + std::to_string(size) + " bytes that were announced");
        at += s.size();
        if (s.is_hole())
            small_.resize(static_cast<size_t>(at));
        else
            small_.insert(small_.end(), s.data(), s.data() + s.size());
    }
    if (at != size)
        throw Error(Code::corrupt, path + " has " + std::to_string(at) + " bytes instead of " + std::to_string(size));
    if (size == 0) return SG_NO_CONTENT;
    Content content;
    content.size = size;
    content.packed = packed_->add(small_);
    contents_.push_back(content);
    return contents_.size() - 1;
}

uint64_t DirectoryWriter::adopt(const singularity::ForeignRoot& from, uint64_t node) {
    Content content;
    content.from = from;
    content.node = node;
    content.size = from.stat(node).size;
    contents_.push_back(content);
    return contents_.size() - 1;
}

void DirectoryWriter::finish(const Tree& tree, const Host& host) {
    count_references(tree, host);
    choose_staging_name(tree);
    packed_->flush();
    TreeMaker maker({tree, contents_, path_, root_.get(), staging_.get(), as_root_, &*packed_}, host);
    maker.make(std::clamp(host.width(), 1u, most_threads));
    skipped_ = maker.skipped();
    remove_staging();
    maker.dress_directories();
    skipped_ = maker.skipped();
    warn(host);
}

void DirectoryWriter::count_references(const Tree& tree, const Host& host) {
    std::vector<uint64_t> directories{tree.root()};
    std::unordered_set<uint64_t> seen;
    while (!directories.empty()) {
        const uint64_t directory = directories.back();
        directories.pop_back();
        host.poll();
        tree.list(directory, [&](std::string_view, uint64_t node, uint32_t type) {
            if ((type & S_IFMT) == S_IFDIR) {
                directories.push_back(node);
                return true;
            }
            if ((type & S_IFMT) != S_IFREG) return true;
            const sg_attr attr = tree.stat(node);
            if (attr.content == SG_NO_CONTENT || (attr.nlink > 1 && !seen.insert(attr.inode).second)) return true;
            if (attr.content >= contents_.size())
                throw Error(Code::internal,
                            "the tree names the content " + std::to_string(attr.content) + ", which nobody gave");
            uint8_t& count = contents_[static_cast<size_t>(attr.content)].references;
            if (count < 2) ++count;
            return true;
        });
    }
}

void DirectoryWriter::choose_staging_name(const Tree& tree) {
    std::string name = staging_name_;
    while (tree.lookup(tree.root(), name) != SG_NO_NODE) name += "_";
    if (name == staging_name_) return;
    if (::renameat(root_.get(), staging_name_.c_str(), root_.get(), name.c_str()) != 0)
        throw_errno("cannot rename", path_ + "/" + staging_name_);
    staging_name_ = name;
}

void DirectoryWriter::remove_staging() {
    const int raw = ::dup(staging_.get());
    std::unique_ptr<DIR, int (*)(DIR*)> stream(raw < 0 ? nullptr : ::fdopendir(raw), ::closedir);
    if (!stream) throw_errno("cannot list", path_ + "/" + staging_name_);
    while (const dirent* e = ::readdir(stream.get())) {
        const std::string_view name = e->d_name;
        if (name != "." && name != ".." && ::unlinkat(staging_.get(), e->d_name, 0) != 0)
            throw_errno("cannot remove", path_ + "/" + staging_name_ + "/" + e->d_name);
    }
    if (::unlinkat(root_.get(), staging_name_.c_str(), AT_REMOVEDIR) != 0)
        throw_errno("cannot remove", path_ + "/" + staging_name_);
}

void DirectoryWriter::warn(const Host& host) const {
    const auto count = [](uint64_t n, const char* one, const char* many) {
        return std::to_string(n) + " " + (n == 1 ? one : many);
    };
    if (skipped_.devices)
        host.warn(count(skipped_.devices, "device node was", "device nodes were") + " left out of " + path_ +
                  ": only root can make them");
    if (skipped_.owners)
        host.warn(count(skipped_.owners, "file keeps", "files keep") + " another owner than in the image in " + path_);
    if (skipped_.xattrs)
        host.warn(count(skipped_.xattrs, "extended attribute was", "extended attributes were") + " left out of " +
                  path_ + ": not allowed here, or not known to the file system");
}

}  // namespace sandbox
