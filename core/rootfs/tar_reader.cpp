#include "rootfs/tar_reader.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include "base/error.hpp"
#include "base/log.hpp"
#include "rootfs/slices.hpp"

namespace sg {

using singularity::Slice;
using singularity::Stream;

namespace {

[[noreturn]] void corrupt(std::string what) { throw Error(Code::corrupt, std::move(what)); }

// The thread's locale is "C" while libarchive reads names. In a UTF-8 locale it normalises pax names
// (decomposed letters become composed ones, so that two files become one); in the C locale it gives the
// bytes as they are and a warning for each name beyond ASCII.
class PlainNames {
public:
    PlainNames() : c_(newlocale(LC_ALL_MASK, "C", nullptr)), before_(c_ ? uselocale(c_) : nullptr) {}
    ~PlainNames() {
        if (!c_) return;
        uselocale(before_);
        freelocale(c_);
    }
    PlainNames(const PlainNames&) = delete;
    PlainNames& operator=(const PlainNames&) = delete;

private:
    locale_t c_;
    locale_t before_;
};

}  // namespace

struct TarReader::State {
    // The bytes of the present entry.
    class Data final : public Stream {
    public:
        explicit Data(State& s) : s_(s) {}
        Slice next() override {
            if (waiting_.size() > 0) {
                at_ += waiting_.size();
                return std::move(waiting_);
            }
            for (;;) {
                const void* p = nullptr;
                size_t n = 0;
                la_int64_t offset = 0;
                const int rc = s_.read(&p, &n, &offset);
                if (rc == ARCHIVE_EOF) {
                    const uint64_t rest = size_ - at_;
                    at_ = size_;
                    return rest > 0 ? Slice::hole(rest) : Slice();
                }
                if (n == 0) continue;
                if (offset < 0 || static_cast<uint64_t>(offset) < at_ || static_cast<uint64_t>(offset) > size_ ||
                    n > size_ - static_cast<uint64_t>(offset))
                    corrupt("damaged tar archive: a file's data lies outside of it");
                Slice s = s_.slice(static_cast<const uint8_t*>(p), n);
                const uint64_t hole = static_cast<uint64_t>(offset) - at_;
                if (hole > 0) {
                    at_ += hole;
                    waiting_ = std::move(s);
                    return Slice::hole(hole);
                }
                at_ += n;
                return s;
            }
        }
        void begin(uint64_t size) {
            waiting_.reset();
            at_ = 0;
            size_ = size;
        }

    private:
        State& s_;
        Slice waiting_;
        uint64_t at_ = 0, size_ = 0;
    };

    Stream& from;
    archive* a = archive_read_new();
    archive_entry* entry = nullptr;
    Slice current;  // what libarchive reads from; stays until it asks for more
    bool at_end = false;
    std::exception_ptr failure;
    Data data{*this};

    explicit State(Stream& f) : from(f) {
        if (!a) throw Error(Code::limit, "out of memory");
        archive_read_support_format_tar(a);
        archive_read_support_format_empty(a);
    }
    ~State() { archive_read_free(a); }

    Slice pull() {
        if (at_end) return {};
        Slice s = from.next();
        at_end = s.size() == 0;
        return s;
    }

    static la_ssize_t feed(archive* a, void* arg, const void** to) {
        auto& self = *static_cast<State*>(arg);
        try {
            self.current.reset();
            self.current = self.pull();
            // A plain archive that is sparse on disk: libarchive wants bytes.
            if (self.current.is_hole()) {
                const uint64_t n = self.current.size();
                if (n > (1u << 30)) corrupt("damaged tar archive: a hole in it");
                self.current = Slice::owned(std::vector<uint8_t>(n));
            }
        } catch (...) {
            self.failure = std::current_exception();
            archive_set_error(a, EIO, "its data cannot be read");
            return -1;
        }
        *to = self.current.data();
        return static_cast<la_ssize_t>(self.current.size());
    }

    // What libarchive answers when it cannot go on.
    [[noreturn]] void fail() {
        if (failure) std::rethrow_exception(failure);
        const char* why = archive_error_string(a);
        corrupt(std::string("damaged tar archive: ") + (why ? why : "unknown failure"));
    }

    int read(const void** p, size_t* n, la_int64_t* offset) {
        for (;;) {
            const int rc = archive_read_data_block(a, p, n, offset);
            if (rc == ARCHIVE_OK || rc == ARCHIVE_EOF || rc == ARCHIVE_WARN) return rc;
            fail();
        }
    }

    // Without a copy when the bytes lie in the slice that libarchive reads from.
    Slice slice(const uint8_t* p, size_t n) {
        if (current.has_owner() && p >= current.data() && p + n <= current.data() + current.size())
            return share(current, p, n);
        return Slice::borrowed(p, n);
    }
};

TarReader::TarReader(Stream& from) : state_(std::make_unique<State>(from)) {
    const PlainNames names;
    archive* a = state_->a;
    if (archive_read_open2(a, state_.get(), nullptr, State::feed, nullptr, nullptr) != ARCHIVE_OK) {
        if (state_->failure) std::rethrow_exception(state_->failure);
        corrupt("it is no tar archive");
    }
}

TarReader::~TarReader() = default;

bool TarReader::next(TarEntry& e) {
    const PlainNames names;
    archive* a = state_->a;
    const int rc = archive_read_next_header(a, &state_->entry);
    if (rc == ARCHIVE_EOF) return false;
    if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN) state_->fail();
    if (rc == ARCHIVE_WARN && log::enabled(log::Level::debug)) {
        const char* why = archive_error_string(a);
        log::debug(std::string("tar: ") + (why ? why : "a warning"));
    }
    archive_entry* from = state_->entry;
    const auto text = [](const char* s) { return s ? std::string_view(s) : std::string_view(); };

    e = {};
    e.path = text(archive_entry_pathname(from));
    e.permissions = archive_entry_perm(from) & 07777;
    const auto owner = [](la_int64_t id) {
        if (id < 0 || id > UINT32_MAX) corrupt("a tar entry has the owner " + std::to_string(id) + ", which is no user or group id");
        return static_cast<uint32_t>(id);
    };
    e.uid = owner(archive_entry_uid(from));
    e.gid = owner(archive_entry_gid(from));
    e.mtime = std::max<int64_t>(0, archive_entry_mtime(from));
    const la_int64_t size = archive_entry_size(from);
    if (size < 0) corrupt("damaged tar archive: an entry has a negative size");
    if (const char* target = archive_entry_hardlink(from)) {
        e.kind = TarEntry::Kind::hard_link;
        e.target = target;
    } else {
        switch (archive_entry_filetype(from)) {
            case AE_IFREG:
                e.kind = TarEntry::Kind::file;
                e.size = static_cast<uint64_t>(size);
                break;
            case AE_IFDIR: e.kind = TarEntry::Kind::directory; break;
            case AE_IFLNK:
                e.kind = TarEntry::Kind::symlink;
                e.target = text(archive_entry_symlink(from));
                break;
            case AE_IFCHR: e.kind = TarEntry::Kind::character; break;
            case AE_IFBLK: e.kind = TarEntry::Kind::block; break;
            case AE_IFIFO: e.kind = TarEntry::Kind::fifo; break;
            default: corrupt("a tar entry is of a type that no layer may hold: " + std::string(e.path));
        }
        if (e.kind == TarEntry::Kind::character || e.kind == TarEntry::Kind::block) {
            e.major = static_cast<uint32_t>(archive_entry_rdevmajor(from));
            e.minor = static_cast<uint32_t>(archive_entry_rdevminor(from));
        }
    }
    state_->data.begin(e.size);
    return true;
}

Stream& TarReader::data() { return state_->data; }

Tree::Xattrs TarReader::xattrs() const {
    Tree::Xattrs out;
    if (archive_entry_xattr_reset(state_->entry) == 0) return out;
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    while (archive_entry_xattr_next(state_->entry, &name, &value, &size) == ARCHIVE_OK)
        if (name && *name) out.emplace_back(name, std::string(static_cast<const char*>(value), size));
    // libarchive gives the last one first.
    return {std::make_move_iterator(out.rbegin()), std::make_move_iterator(out.rend())};
}

void TarReader::drain() {
    state_->current.reset();
    while (state_->pull().size() > 0) {
    }
}

}  // namespace sg
