#include "family/archive.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <singularity/json.hpp>

#include "family/manifest.hpp"

namespace sources {
namespace {

constexpr uint64_t max_kept = 64 << 20;
constexpr uint64_t max_names = 64 << 20;
constexpr uint64_t max_parts = 10000;
constexpr int max_links = 16;

bool begins(std::string_view bytes, std::string_view magic) { return bytes.substr(0, magic.size()) == magic; }

bool is_compressed(std::string_view bytes) {
    using namespace std::string_view_literals;
    for (std::string_view magic : {"\x1f\x8b"sv,
                                   "\xfd"
                                   "7zXZ\0"sv,
                                   "\x28\xb5\x2f\xfd"sv, "BZh"sv, "\x04\x22\x4d\x18"sv, "\x5d\0\0"sv})
        if (begins(bytes, magic)) return true;
    // A skippable zstd frame may come first.
    return bytes.size() >= 4 && (static_cast<unsigned char>(bytes[0]) & 0xf0) == 0x50 &&
           bytes.substr(1, 3) == "\x2a\x4d\x18";
}

bool looks_like_json(std::string_view bytes) {
    const size_t at = bytes.find_first_not_of(" \t\r\n");
    const bool tar = bytes.size() >= 262 && bytes.substr(257, 5) == "ustar";
    return !tar && at != std::string_view::npos && (bytes[at] == '{' || bytes[at] == '[');
}

std::string part_key(const std::string& name) {
    const size_t slash = name.rfind('/');
    if (name.substr(0, 6) == "blobs/" && slash > 6)
        if (const auto d = Digest::try_parse(name.substr(6, slash - 6) + ":" + name.substr(slash + 1)))
            return d->text();
    return name;
}

struct stat examine(const std::string& path, const std::string& if_directory) {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0) throw_errno("cannot open", path);
    if (S_ISDIR(st.st_mode))
        throw Error(Code::invalid, path + " is a directory, and an archive file is expected", if_directory);
    if (S_ISBLK(st.st_mode)) throw Error(Code::invalid, path + " is a block device, and an archive file is expected");
    if (S_ISSOCK(st.st_mode)) throw Error(Code::invalid, path + " is a socket, and an archive file is expected");
    return st;
}

}  // namespace

OpenedArchive open_archive(const std::string& path, const std::string& if_directory) {
    const struct stat st = examine(path, if_directory);
    OpenedArchive out;
    // A pipe blocks here until somebody writes into it, which is what its user wants.
    out.fd = Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!out.fd) throw_errno("cannot open", path);
    struct stat now {};
    if (::fstat(out.fd.get(), &now) != 0) throw_errno("cannot examine", path);
    if (now.st_dev != st.st_dev || now.st_ino != st.st_ino)
        throw Error(Code::io, path + " was replaced while it was opened");
    if (!S_ISREG(now.st_mode)) return out;
    out.size = static_cast<uint64_t>(now.st_size);
    if (out.size == 0) throw Error(Code::corrupt, path + " is empty", "Copy or download the archive again.");
    out.plain = !is_compressed(read_at(out.fd.get(), 0, std::min<uint64_t>(out.size, 16), path));
    return out;
}

bool is_plain_archive(const std::string& path, const std::string& if_directory) {
    return S_ISREG(examine(path, if_directory).st_mode) && open_archive(path, if_directory).plain;
}

class SequentialArchive::PartStream final : public Stream {
public:
    explicit PartStream(SequentialArchive& archive, const Host& host) : archive_(archive), host_(host) {}
    ~PartStream() override { take(); }
    Slice next() override {
        take();
        archive_.input_.set_host(host_);
        const uint64_t left = archive_.reader_.left();
        if (left == 0) return {};
        const std::string_view bytes = archive_.input_.available();
        if (bytes.empty()) archive_.reader_.truncated(archive_.entry_.name);
        given_ = std::min<uint64_t>(left, bytes.size());
        return Slice::borrowed(bytes.data(), given_);
    }

private:
    // The slice given last is done with.
    void take() {
        archive_.input_.take(given_);
        archive_.reader_.consumed(given_);
        given_ = 0;
    }
    SequentialArchive& archive_;
    Host host_;
    uint64_t given_ = 0;
};

std::string SequentialArchive::keep(const TarEntry& entry) {
    kept_bytes_ += entry.size;
    if (kept_bytes_ > max_kept)
        throw Error(Code::limit, path_ + ": its JSON documents take more than " + std::to_string(max_kept) + " bytes",
                    "Decompress the archive first: a plain tar is read in place.");
    std::string out(entry.size, '\0');
    const uint64_t got = input_.read(out.data(), entry.size);
    reader_.consumed(got);
    if (got != entry.size) reader_.truncated(entry.name);
    return out;
}

singularity::Part SequentialArchive::next_part(const Host& host) {
    input_.set_host(host);
    while (!ended_) {
        host.poll();
        if (!reader_.next(entry_)) {
            ended_ = true;
            complete(host);
            break;
        }
        const TarEntry& e = entry_;
        if (e.name.empty()) continue;
        Member m;
        m.size = e.size;
        const bool link = e.type == TarType::symlink || e.type == TarType::hardlink;
        if (!link && e.type != TarType::file) continue;
        name_bytes_ += e.name.size() + e.link.size();
        if (name_bytes_ > max_names)
            throw Error(Code::limit, path_ + ": the names in it take more than " + std::to_string(max_names) +
                                         " bytes: that is no image archive");
        if (link) {
            m.kind = Member::Kind::link;
            m.text = resolve_member_link(e.name, e.link, e.type == TarType::symlink);
            members_.insert_or_assign(e.name, std::move(m));
            continue;
        }
        if ((e.name == "manifest.json" || e.name == "index.json") && e.size > max_document)
            throw Error(Code::limit, path_ + ": \"" + e.name + "\" is larger than the limit of " +
                                         std::to_string(max_document) + " bytes");
        const std::string_view head = input_.peek(std::min<uint64_t>(512, e.size)).substr(0, e.size);
        if (e.size <= max_document && looks_like_json(head)) {
            m.kind = Member::Kind::document;
            m.text = keep(e);
            members_.insert_or_assign(e.name, std::move(m));
            continue;
        }
        // Smaller than any tar and not compressed: VERSION and the like.
        if (e.size < 512 && !is_compressed(head)) {
            if (e.size <= 64) {
                m.kind = Member::Kind::document;
                m.text = keep(e);
            }
            members_.insert_or_assign(e.name, std::move(m));
            continue;
        }
        if (parts_ >= max_parts)
            throw Error(Code::limit,
                        path_ + " has more than " + std::to_string(max_parts) +
                            " members that could be layers: that is no image archive",
                        "Decompress the archive first: a plain tar is read in place.");
        m.kind = Member::Kind::part;
        m.part = parts_++;
        members_.insert_or_assign(e.name, std::move(m));
        return {part_key(e.name), e.size, std::make_unique<PartStream>(*this, host)};
    }
    return {};
}

const SequentialArchive::Member* SequentialArchive::find(const std::string& name) const {
    std::string at = name;
    for (int i = 0; i <= max_links; ++i) {
        const auto it = members_.find(at);
        if (it == members_.end()) return nullptr;
        if (it->second.kind != Member::Kind::link) return &it->second;
        at = it->second.text;
    }
    return nullptr;
}

std::optional<uint64_t> SequentialArchive::size_of(const std::string& name) const {
    const Member* m = find(name);
    return m ? std::optional(m->size) : std::nullopt;
}

const std::string* SequentialArchive::document(const std::string& name) const {
    const Member* m = find(name);
    return m && m->kind == Member::Kind::document ? &m->text : nullptr;
}

uint64_t SequentialArchive::part_of(const std::string& name) const {
    const Member* m = find(name);
    if (m && m->kind == Member::Kind::part) return m->part;
    throw Error(Code::unsupported,
                path_ + ": the layer \"" + singularity::json::printable(name) + "\" is not a tar archive",
                "Decompress the archive first: a plain tar is read in place.");
}

}  // namespace sources
