#include "rootfs/segment.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.hpp"
#include "image/hasher.hpp"

namespace sg {

namespace {

constexpr uint32_t entries_version = 2;
constexpr char magic[8] = {'S', 'G', 'L', 'A', 'Y', 'E', 'R', '1'};
constexpr uint64_t most_entry_bytes = uint64_t{8} << 30, most_image_text = 8192;

struct Trailer {
    char magic[8];
    uint32_t version, image_size;  // bytes that name the image
    uint64_t data_size;            // of the format's stored files
    uint64_t format_size;          // with its index
    uint64_t entries_size;         // bytes
    uint64_t count;                // of entries
    char digest[80];               // "sha256:HEX" of what it covers, and of this trailer with an empty digest
};
static_assert(sizeof(Trailer) == 128);

[[noreturn]] void damaged(const char* why) { throw Error(Code::corrupt, std::string("it is damaged: ") + why); }

template <class T>
void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_text(std::string& out, std::string_view text) {
    put(out, static_cast<uint32_t>(text.size()));
    out.append(text);
}

class Bytes {
public:
    explicit Bytes(std::string_view from) : left_(from) {}
    template <class T>
    T next() {
        if (left_.size() < sizeof(T)) damaged("its entries end too early");
        T value;
        std::memcpy(&value, left_.data(), sizeof value);
        left_.remove_prefix(sizeof value);
        return value;
    }
    std::string_view text() {
        const auto n = next<uint32_t>();
        if (n > left_.size()) damaged("its entries end too early");
        const std::string_view out = left_.substr(0, n);
        left_.remove_prefix(n);
        return out;
    }

private:
    std::string_view left_;
};

void read_exactly(int fd, uint64_t at, char* to, size_t size) {
    while (size > 0) {
        const ssize_t n = pread(fd, to, size, static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot read a segment of the cache", "");
        if (n == 0) damaged("it ends too early");
        to += n, at += static_cast<uint64_t>(n), size -= static_cast<size_t>(n);
    }
}

void write_exactly(int fd, uint64_t at, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("cannot write a segment to the cache", "");
        at += static_cast<uint64_t>(n);
        bytes.remove_prefix(static_cast<size_t>(n));
    }
}

std::string digest_of(int fd, Trailer t) {
    Hasher hasher("sha256");
    std::string piece;
    const uint64_t end = t.format_size + t.entries_size + t.image_size;
    for (uint64_t at = t.image_size > 0 ? 0 : t.data_size; at < end; at += piece.size()) {
        piece.resize(static_cast<size_t>(std::min<uint64_t>(end - at, 1 << 20)));
        read_exactly(fd, at, piece.data(), piece.size());
        hasher.update(piece.data(), piece.size());
    }
    std::memset(t.digest, 0, sizeof t.digest);
    hasher.update(&t, sizeof t);
    return hasher.finish();
}

}  // namespace

class StoredLayer::Entries final : public LayerEntries {
public:
    explicit Entries(const StoredLayer& layer) : layer_(layer), bytes_(layer.entries_), left_(layer.count_) {}

    bool next(TarEntry& e) override {
        if (left_ == 0) return false;
        --left_;
        if (has_bytes_) ++number_;
        const auto kind = bytes_.next<uint8_t>();
        if (kind > static_cast<uint8_t>(TarEntry::Kind::fifo)) damaged("an entry is of no kind");
        e = {};
        e.kind = static_cast<TarEntry::Kind>(kind);
        e.permissions = bytes_.next<uint32_t>() & 07777;
        e.uid = bytes_.next<uint32_t>(), e.gid = bytes_.next<uint32_t>();
        e.mtime = bytes_.next<int64_t>();
        e.size = bytes_.next<uint64_t>();
        e.major = bytes_.next<uint32_t>(), e.minor = bytes_.next<uint32_t>();
        e.path = bytes_.text();
        e.target = bytes_.text();
        xattrs_.clear();
        for (auto n = bytes_.next<uint32_t>(); n > 0; --n) {
            const std::string_view name = bytes_.text();
            xattrs_.emplace_back(name, bytes_.text());
        }
        has_bytes_ = e.kind == TarEntry::Kind::file && e.size > 0;
        stream_.reset();
        return true;
    }
    singularity::Stream& data() override {
        sg_stream* raw = nullptr;
        singularity::check([&](sg_error* e) { return layer_.tables_.layers->read(layer_.segment_, number_, &raw, e); });
        stream_ = std::make_unique<singularity::ForeignStream>(raw);
        return *stream_;
    }
    Tree::Xattrs xattrs() const override { return xattrs_; }
    void drain() override {}

private:
    const StoredLayer& layer_;
    Bytes bytes_;
    uint64_t left_, number_ = 0;
    bool has_bytes_ = false;
    Tree::Xattrs xattrs_;
    std::unique_ptr<singularity::ForeignStream> stream_;
};

StoredLayer::StoredLayer(UniqueFd fd, const LayerTables& tables, const FindImage& find_image)
    : fd_(std::move(fd)), tables_(tables) {
    struct stat st;
    if (fstat(fd_.get(), &st) != 0) throw_errno("cannot look at a segment of the cache", "");
    const auto size = static_cast<uint64_t>(st.st_size);
    Trailer t;
    if (!S_ISREG(st.st_mode) || size < sizeof t) damaged("it ends too early");
    read_exactly(fd_.get(), size - sizeof t, reinterpret_cast<char*>(&t), sizeof t);
    if (std::memcmp(t.magic, magic, sizeof magic) != 0 || t.version != entries_version) damaged("it has no end");
    const uint64_t rest = size - sizeof t;
    if (t.format_size > rest || t.entries_size > rest - t.format_size ||
        t.image_size != rest - t.format_size - t.entries_size || t.image_size > most_image_text ||
        t.data_size > t.format_size || t.entries_size > most_entry_bytes)
        damaged("its parts have other sizes");
    char expected[sizeof t.digest] = {};
    const std::string digest = digest_of(fd_.get(), t);
    std::memcpy(expected, digest.data(), std::min(digest.size(), sizeof expected));
    if (std::memcmp(t.digest, expected, sizeof expected) != 0) damaged("its checksum is another one");
    entries_.resize(static_cast<size_t>(t.entries_size));
    read_exactly(fd_.get(), t.format_size, entries_.data(), entries_.size());
    count_ = t.count;
    std::string named(t.image_size, '\0');
    read_exactly(fd_.get(), t.format_size + t.entries_size, named.data(), named.size());
    const UniqueFd image(named.empty() || !find_image ? UniqueFd() : find_image(named));
    singularity::check([&](sg_error* e) {
        return tables_.in_image ? tables_.in_image->open(fd_.get(), image ? image.get() : -1, t.data_size,
                                                         t.format_size, &segment_, e)
                                : tables_.layers->open(fd_.get(), t.data_size, t.format_size, &segment_, e);
    });
    const uint64_t files = tables_.layers->count(segment_);
    for (uint64_t i = 0; i < files && complete_; ++i) complete_ = has(i);
}

StoredLayer::~StoredLayer() {
    if (segment_) tables_.layers->close(segment_);
}

std::unique_ptr<LayerEntries> StoredLayer::entries() const { return std::make_unique<Entries>(*this); }

void NewLayer::add(const TarEntry& e, const Tree::Xattrs& xattrs) {
    ++count_;
    put(entries_, static_cast<uint8_t>(e.kind));
    put(entries_, e.permissions), put(entries_, e.uid), put(entries_, e.gid);
    put(entries_, e.mtime), put(entries_, e.size);
    put(entries_, e.major), put(entries_, e.minor);
    put_text(entries_, e.path);
    put_text(entries_, e.target);
    put(entries_, static_cast<uint32_t>(xattrs.size()));
    for (const auto& [name, value] : xattrs) put_text(entries_, name), put_text(entries_, value);
}

void NewLayer::finish(uint64_t data_size, uint64_t size) {
    write_exactly(fd_, size, entries_);
    data_size_ = data_size, format_size_ = size;
    entries_size_ = entries_.size();
    entries_ = {};
    write_end({});
    whole_ = true;
}

void NewLayer::refer_to(const std::string& image) {
    if (image.size() > most_image_text) throw Error(Code::limit, "the path of the image is too long");
    write_end(image);
}

void NewLayer::write_end(const std::string& image) {
    Trailer t{};
    std::memcpy(t.magic, magic, sizeof magic);
    t.version = entries_version;
    t.image_size = static_cast<uint32_t>(image.size());
    t.data_size = data_size_, t.format_size = format_size_;
    t.entries_size = entries_size_;
    t.count = count_;
    write_exactly(fd_, format_size_ + entries_size_, image);
    const std::string digest = digest_of(fd_, t);
    std::memcpy(t.digest, digest.data(), std::min(digest.size(), sizeof t.digest));
    write_exactly(fd_, format_size_ + entries_size_ + image.size(), {reinterpret_cast<const char*>(&t), sizeof t});
}

}  // namespace sg
