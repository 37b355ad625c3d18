#include "family/tar_index.hpp"

#include <algorithm>

namespace sources {
namespace {

constexpr uint64_t max_names = 64 << 20;
constexpr int max_links = 16;

// A tar in a file that can be read anywhere. Headers of neighbouring small members are served from one read.
class FileInput final : public TarInput {
public:
    FileInput(int fd, uint64_t size, const std::string& where) : fd_(fd), size_(size), where_(where) {}
    uint64_t read(char* to, uint64_t size) override {
        const uint64_t n = std::min(size, size_ - position_);
        if (position_ < begin_ || position_ + n > begin_ + window_.size()) {
            begin_ = position_;
            window_ = read_at(fd_, begin_, std::min(std::max<uint64_t>(n, 4096), size_ - begin_), where_);
        }
        window_.copy(to, n, position_ - begin_);
        position_ += n;
        return n;
    }
    uint64_t skip(uint64_t size) override {
        const uint64_t n = std::min(size, size_ - position_);
        position_ += n;
        return n;
    }
    uint64_t position() const override { return position_; }

private:
    int fd_;
    uint64_t size_, position_ = 0, begin_ = 0;
    const std::string& where_;
    std::string window_;
};

}  // namespace

TarIndex::TarIndex(Fd fd, uint64_t size, std::string path, const Host& host)
    : fd_(std::move(fd)), path_(std::move(path)) {
    FileInput input(fd_.get(), size, path_);
    TarReader reader(input, path_);
    TarEntry entry;
    uint64_t names = 0, seen = 0;
    while (reader.next(entry)) {
        if (++seen % 1024 == 0) host.poll();
        if (reader.left() > size - input.position()) reader.truncated(entry.name);
        if (entry.name.empty() || entry.type == TarType::other) continue;
        names += entry.name.size() + entry.link.size();
        if (names > max_names)
            throw Error(Code::limit, path_ + ": the names in it take more than " + std::to_string(max_names) +
                                         " bytes: that is no image archive");
        members_.insert_or_assign(entry.name, Member{entry.type, input.position(), entry.size, entry.link});
    }
}

const TarIndex::Member* TarIndex::file(const std::string& name) const {
    const auto it = members_.find(name);
    return it != members_.end() && it->second.type == TarType::file ? &it->second : nullptr;
}

const TarIndex::Member* TarIndex::file_through_links(const std::string& name) const {
    std::string at = name;
    for (int i = 0; i <= max_links; ++i) {
        const auto it = members_.find(at);
        if (it == members_.end()) return nullptr;
        const Member& m = it->second;
        if (m.type == TarType::file) return &m;
        if (m.type != TarType::symlink && m.type != TarType::hardlink) return nullptr;
        at = resolve_member_link(at, m.link, m.type == TarType::symlink);
        if (at.empty()) return nullptr;
    }
    return nullptr;
}

std::string TarIndex::read(const Member& member, const std::string& name, uint64_t limit) const {
    if (member.size > limit)
        throw Error(Code::limit,
                    path_ + ": \"" + name + "\" is larger than the limit of " + std::to_string(limit) + " bytes");
    return read_at(fd_.get(), member.offset, member.size, path_);
}

std::unique_ptr<Stream> TarIndex::stream(const Member& member, const std::string& name, const Host& host) const {
    return stream_file(reopen(fd_.get(), path_), member.offset, member.size, path_ + " (" + name + ")", host);
}

}  // namespace sources
