#include "mount/neighbours.hpp"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <algorithm>
#include <vector>

namespace sg {

// What is known of a directory: its small files that share a block, by block, then as listed.
struct NeighboursDirectory {
    struct File {
        uint64_t shared, id;
        uint32_t size;
        uint8_t sent;          // or being sent, or read
        uint8_t reads, again;  // in the first file of a block: reads of its files, and of files that had been sent
    };
    std::vector<File> files;
    bool whole = true;  // false: more entries than are looked at for a first read
};

namespace {

constexpr size_t max_files = 1u << 18;  // remembered in all: 6 MiB
constexpr size_t first_look = 1024;     // entries that a single read may cost looking at
constexpr uint32_t before = 16;         // files sent before a read is answered
constexpr uint32_t after = 1024;        // and after it
constexpr uint64_t start = 128 << 10;   // bytes at most of a file that is about to be read; whole pages

// A byte that threads share; only its own value matters.
using Shared = std::atomic_ref<uint8_t>;
constexpr auto relaxed = std::memory_order_relaxed;

}  // namespace

Neighbours::Neighbours(int transport, const View& view) : transport_(transport), view_(view) {
    // Zero is what a fresh mapping holds, and what an atomic of a plain number begins with.
    void* p = mmap(nullptr, parents * sizeof(Parent), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p != MAP_FAILED) parents_ = static_cast<Parent*>(p);
}

Neighbours::~Neighbours() {
    if (parents_) munmap(parents_, parents * sizeof(Parent));
}

Neighbours::Parent& Neighbours::parent(uint64_t id) const noexcept {
    // Numbers of one directory lie near each other, as positions in a table of inodes or as plain counts: so
    // do their slots, which keeps the pages touched few; what is far apart is strewn over the whole table.
    const uint64_t far = (id >> 13) * 0x9E3779B97F4A7C15ull >> 32;
    return parents_[(far + (id & 8191)) % parents];
}

void Neighbours::listed(uint64_t id, uint64_t dir) noexcept {
    if (!parents_) return;
    Parent& p = parent(id);
    p.dir.store(dir, relaxed);
    p.id.store(id, relaxed);
}

void Neighbours::before_answer(uint64_t id, bool may_send, Rest& rest) noexcept {
    if (!parents_) return;
    const Parent& known = parent(id);
    if (known.id.load(relaxed) != id) return;
    sg_placement placement;
    if (!view_.placement(id, placement)) return;
    try {
        pass(directory(known.dir.load(relaxed)), id, placement.shared, may_send, rest);
    } catch (...) {  // no memory: the read alone is answered
    }
}

void Neighbours::after_answer(Rest& rest) noexcept { send_around(*rest.dir, rest, after); }

std::shared_ptr<Neighbours::Directory> Neighbours::directory(uint64_t dir) {
    size_t limit = first_look;
    {
        const std::lock_guard lock(mutex_);
        const auto found = directories_.find(dir);
        if (found != directories_.end()) {
            if (found->second->whole) return found->second;
            limit = max_files;
        }
    }
    auto fresh = collect(dir, limit);
    if (limit == max_files) fresh->whole = true;
    const std::lock_guard lock(mutex_);
    if (files_ > max_files) {
        directories_.clear();
        files_ = 0;
    }
    files_ += fresh->files.size() + 1;
    return directories_[dir] = std::move(fresh);
}

std::shared_ptr<Neighbours::Directory> Neighbours::collect(uint64_t dir, size_t limit) const {
    struct Collect {
        const View& view;
        size_t left;
        Directory& into;
    };
    auto out = std::make_shared<Directory>();
    Collect collect{view_, limit, *out};
    view_.list(
        dir, 0,
        [](void* arg, const View::Entry& entry) {
            auto& c = *static_cast<Collect*>(arg);
            if (c.left-- == 0) return c.into.whole = false;
            sg_placement placement;
            if (entry.type == DT_REG && c.view.placement(entry.id, placement) && placement.tail_size > 0 &&
                placement.tail_size <= small)
                c.into.files.push_back(
                    {placement.shared, entry.id, static_cast<uint32_t>(placement.tail_size), 0, 0, 0});
            return true;
        },
        &collect);
    const auto by_block = [](const Directory::File& a, const Directory::File& b) { return a.shared < b.shared; };
    if (!out->whole)
        out->files.clear();
    else if (!std::is_sorted(out->files.begin(), out->files.end(), by_block))
        std::stable_sort(out->files.begin(), out->files.end(), by_block);
    return out;
}

void Neighbours::pass(std::shared_ptr<Directory> dir, uint64_t id, uint64_t shared, bool may_send, Rest& rest) noexcept {
    auto& files = dir->files;
    const auto [from, to] =
        std::equal_range(files.begin(), files.end(), Directory::File{shared, 0, 0, 0, 0, 0},
                         [](const Directory::File& a, const Directory::File& b) { return a.shared < b.shared; });
    const auto at = std::find_if(from, to, [&](const Directory::File& f) { return f.id == id; });
    if (at == to) return;
    const auto count = [](uint8_t& of) {  // saturates
        const uint8_t now = Shared(of).load(relaxed);
        if (now < UINT8_MAX) Shared(of).store(now + 1, relaxed);
        return now + 1;
    };
    if (Shared(at->sent).exchange(1, relaxed)) {
        // Asked for although it was sent: in flight just then, or the kernel has dropped it since. Many of
        // them are the latter.
        if (count(from->again) < std::min<long>(8 + (to - from) / 4, UINT8_MAX)) return;
        for (auto f = from; f != to; ++f) Shared(f->sent).store(f == at, relaxed);
        Shared(from->again).store(0, relaxed);
        Shared(from->reads).store(0, relaxed);
    }
    Rest range{nullptr, static_cast<size_t>(from - files.begin()), static_cast<size_t>(at - files.begin()),
               static_cast<size_t>(to - files.begin())};
    if (may_send) send_around(*dir, range, before);
    if (count(from->reads) < 2) return;
    rest = range;
    rest.dir = std::move(dir);
}

void Neighbours::send_around(Directory& dir, const Rest& range, uint32_t limit) noexcept {
    const uint64_t own = dir.files[range.at].id;
    const auto give = [&](Directory::File& f) {
        // Another name of the file that is being read: its page is locked until the answer of this very thread.
        if (f.id == own || Shared(f.sent).load(relaxed)) return true;
        if (limit == 0) return false;
        --limit;
        if (Shared(f.sent).exchange(1, relaxed)) return true;  // another thread was faster
        const bool taken = send(f.id, f.size);
        if (!taken) Shared(f.sent).store(0, relaxed);
        return taken;
    };
    for (size_t f = range.at + 1; f < range.last && give(dir.files[f]); ++f) {
    }
    for (size_t f = range.at; f > range.first && give(dir.files[f - 1]); --f) {
    }
}

bool Neighbours::send(uint64_t id, uint32_t size) noexcept {
    sg_slice slice{};
    if (!view_.first_block(id, slice)) return false;
    // Else the tail is not the whole file.
    const bool taken = !slice.data || slice.size != size || store(id, slice);
    if (slice.owner && slice.release) slice.release(slice.owner);
    return taken;
}

void Neighbours::before_reading(uint64_t id) noexcept {
    if (parents_ && parent(id).id.load(relaxed) == id) return;
    if (started_[id % started_.size()].exchange(id, relaxed) == id) return;
    sg_slice slice{};
    if (!view_.first_block(id, slice)) return;
    slice.size = std::min(slice.size, start);
    if (slice.data && slice.size > 0) store(id, slice);
    if (slice.owner && slice.release) slice.release(slice.owner);
}

bool Neighbours::store(uint64_t id, const sg_slice& bytes) noexcept {
    struct {
        fuse_out_header header;
        fuse_notify_store_out store;
    } head{};
    head.header.len = static_cast<uint32_t>(sizeof head + bytes.size);
    head.header.error = FUSE_NOTIFY_STORE;
    head.store.nodeid = id;
    head.store.size = static_cast<uint32_t>(bytes.size);
    const iovec parts[2] = {{&head, sizeof head}, {const_cast<uint8_t*>(bytes.data), bytes.size}};
    return writev(transport_, parts, 2) >= 0;
}

}  // namespace sg
