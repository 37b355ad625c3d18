#include "mount/neighbours.hpp"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

namespace sg {

namespace {

constexpr size_t max_files = 1u << 18;  // remembered in all: 6 MiB

void* map(size_t bytes) {
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? nullptr : p;
}

}  // namespace

Neighbours::Neighbours(int transport, const View& view) : transport_(transport), view_(view) {
    // Zero is what a fresh mapping holds, and what an atomic of a plain number begins with.
    auto* p = static_cast<uint8_t*>(map(parents * sizeof(Parent) + seen * sizeof(Seen)));
    if (!p) return;
    parents_ = reinterpret_cast<Parent*>(p);
    seen_ = reinterpret_cast<Seen*>(p + parents * sizeof(Parent));
}

Neighbours::~Neighbours() {
    if (parents_) munmap(parents_, parents * sizeof(Parent) + seen * sizeof(Seen));
}

uint64_t Neighbours::key_of(uint64_t dir, uint64_t shared) noexcept {
    const uint64_t key = ((dir * 0x9E3779B97F4A7C15ull) ^ (shared + 1)) * 0xD6E8FEB86659FD93ull;
    return key & ~0xffull;
}

void Neighbours::told(uint64_t id, uint64_t dir) noexcept {
    if (!parents_) return;
    // Numbers of one directory lie near each other: so do their slots, which keeps the pages touched few.
    Parent& p = parents_[id % parents];
    if (p.id.load(std::memory_order_relaxed) == id) return;
    p.dir.store(dir, std::memory_order_relaxed);
    p.id.store(id, std::memory_order_relaxed);
}

bool Neighbours::was_read(uint64_t id) noexcept {
    if (!parents_) return false;
    const Parent& parent = parents_[id % parents];
    if (parent.id.load(std::memory_order_relaxed) != id) return false;
    const uint64_t dir = parent.dir.load(std::memory_order_relaxed);
    sg_placement placement;
    if (!view_.placement(id, placement)) return false;
    const uint64_t key = key_of(dir, placement.shared);
    Seen& s = slot(key);
    uint64_t now = s.load(std::memory_order_relaxed);
    if ((now & ~0xffull) == key && (now & 0xff) < again_after) {
        s.compare_exchange_strong(now, now + 1, std::memory_order_relaxed);
        return false;
    }
    if (!s.compare_exchange_strong(now, key, std::memory_order_relaxed)) return false;
    {
        const std::lock_guard lock(mutex_);
        if (count_ == queue_size) return false;
        queue_[(first_ + count_++) % queue_size] = {dir, id, placement.shared};
    }
    wake_.notify_one();
    return true;
}

void Neighbours::stop() noexcept {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
}

void Neighbours::run() {
    for (;;) {
        Task task;
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [this] { return stop_ || count_ > 0; });
            if (stop_) return;
            task = queue_[first_];
            first_ = (first_ + 1) % queue_size;
            --count_;
        }
        pass(task);
    }
}

Neighbours::Directory& Neighbours::directory(uint64_t dir) {
    const auto found = directories_.find(dir);
    if (found != directories_.end()) return found->second;
    if (files_ >= max_files) {
        directories_.clear();
        files_ = 0;
    }
    struct Collect {
        const View& view;
        Directory files;
    } collect{view_, {}};
    view_.list(
        dir, 0,
        [](void* arg, const View::Entry& entry) {
            auto& c = *static_cast<Collect*>(arg);
            sg_placement placement;
            if (entry.type == DT_REG && c.view.placement(entry.id, placement))
                c.files.push_back({placement.shared, entry.id, false});
            return c.files.size() < max_files;
        },
        &collect);
    std::stable_sort(collect.files.begin(), collect.files.end(),
                     [](const File& a, const File& b) { return a.shared < b.shared; });
    files_ += collect.files.size() + 1;
    return directories_.emplace(dir, std::move(collect.files)).first->second;
}

int Neighbours::send(const File& file) noexcept {
    sg_placement placement;
    sg_slice slice{};
    if (!view_.placement(file.id, placement) || placement.tail_size > small) return 0;
    if (!view_.first_block(file.id, slice)) return 0;
    int result = 0;
    if (slice.data && slice.size > 0 && slice.size == placement.tail_size) {  // the tail is the whole file
        struct {
            fuse_out_header header;
            fuse_notify_store_out store;
        } head{};
        head.header.len = static_cast<uint32_t>(sizeof head + slice.size);
        head.header.error = FUSE_NOTIFY_STORE;
        head.store.nodeid = file.id;
        head.store.size = static_cast<uint32_t>(slice.size);
        const iovec parts[2] = {{&head, sizeof head}, {const_cast<uint8_t*>(slice.data), slice.size}};
        if (writev(transport_, parts, 2) < 0) result = errno;
    }
    if (slice.owner && slice.release) slice.release(slice.owner);
    return result;
}

void Neighbours::pass(const Task& task) {
    Directory& files = directory(task.dir);
    const auto range = std::equal_range(files.begin(), files.end(), File{task.shared, 0, false},
                                        [](const File& a, const File& b) { return a.shared < b.shared; });
    const auto at = std::find_if(range.first, range.second, [&](const File& f) { return f.id == task.id; });
    if (at == range.second) return;
    if (at->sent)  // sent before, yet asked for: the kernel dropped it, and probably the others
        for (auto f = range.first; f != range.second; ++f) f->sent = false;
    at->sent = true;
    bool unknown = false;
    const auto give = [&](File& f) {
        if (f.sent) return true;
        const int failure = send(f);
        f.sent = failure == 0;
        unknown |= failure != 0;
        return failure == 0;
    };
    for (auto f = at + 1; f != range.second && give(*f); ++f) {}
    for (auto f = at; f != range.first && give(*(f - 1)); --f) {}
    // Try again at the next read when the kernel did not know one yet.
    const uint64_t key = key_of(task.dir, task.shared);
    uint64_t now = slot(key).load(std::memory_order_relaxed);
    if ((now & ~0xffull) == key) slot(key).store(unknown ? key | (again_after - 1) : key, std::memory_order_relaxed);
}

}  // namespace sg
