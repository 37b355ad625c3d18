#include "mount/neighbours.hpp"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

namespace sg {

namespace {

constexpr size_t max_files = 1u << 18;       // remembered in all: 6 MiB
constexpr size_t first_look = 1024;          // entries that a single read may cost looking at
constexpr uint32_t first_window = 16, window_factor = 4, max_window = 1024;
constexpr uint32_t forgotten = 8;  // that many reads of files that were sent: memory was short

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
    p.dir.store(dir, std::memory_order_relaxed);
    p.id.store(id, std::memory_order_relaxed);
}

void Neighbours::being_read(uint64_t id) noexcept {
    if (!parents_) return;
    const Parent& known = parent(id);
    if (known.id.load(std::memory_order_relaxed) != id) return;
    sg_placement placement;
    if (!view_.placement(id, placement)) return;
    try {
        const auto dir = directory(known.dir.load(std::memory_order_relaxed));
        if (dir->busy.test_and_set(std::memory_order_acquire)) return;
        pass(*dir, id, placement.shared);
        dir->busy.clear(std::memory_order_release);
    } catch (...) {  // no memory: the read alone is answered
    }
}

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
                c.into.files.push_back({placement.shared, entry.id, static_cast<uint32_t>(placement.tail_size), false});
            return true;
        },
        &collect);
    const auto before = [](const File& a, const File& b) { return a.shared < b.shared; };
    if (!out->whole)
        out->files.clear();
    else if (!std::is_sorted(out->files.begin(), out->files.end(), before))
        std::stable_sort(out->files.begin(), out->files.end(), before);
    return out;
}

void Neighbours::pass(Directory& dir, uint64_t id, uint64_t shared) noexcept {
    const auto [first, last] = std::equal_range(dir.files.begin(), dir.files.end(), File{shared, 0, 0, false},
                                                [](const File& a, const File& b) { return a.shared < b.shared; });
    const auto at = std::find_if(first, last, [&](const File& f) { return f.id == id; });
    if (at == last) return;
    if (dir.block != shared) {
        dir.block = shared;
        dir.window = first_window;
        dir.again = 0;
    }
    if (at->sent) {
        // Asked for although it was sent: in flight just then, or the kernel has dropped it since.
        if (++dir.again < forgotten) return;
        for (auto f = first; f != last; ++f) f->sent = false;
        dir.again = 0;
        dir.window = first_window;
    }
    at->sent = true;
    uint32_t left = dir.window;
    dir.window = std::min(dir.window * window_factor, max_window);
    const auto give = [&](File& f) {
        if (f.sent) return true;
        if (left == 0) return false;
        --left;
        return f.sent = send(f);
    };
    for (auto f = at + 1; f != last && give(*f); ++f) {}
    for (auto f = at; f != first && give(*(f - 1)); --f) {}
}

bool Neighbours::send(const File& file) noexcept {
    sg_slice slice{};
    if (!view_.first_block(file.id, slice)) return false;
    bool taken = true;
    if (slice.data && slice.size == file.size) {  // the tail is the whole file
        struct {
            fuse_out_header header;
            fuse_notify_store_out store;
        } head{};
        head.header.len = static_cast<uint32_t>(sizeof head + slice.size);
        head.header.error = FUSE_NOTIFY_STORE;
        head.store.nodeid = file.id;
        head.store.size = file.size;
        const iovec parts[2] = {{&head, sizeof head}, {const_cast<uint8_t*>(slice.data), slice.size}};
        taken = writev(transport_, parts, 2) >= 0;
    }
    if (slice.owner && slice.release) slice.release(slice.owner);
    return taken;
}

}  // namespace sg
