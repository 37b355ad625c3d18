#include "mount/server.hpp"

#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

namespace sg {

namespace {

constexpr uint64_t forever = 1u << 30;  // seconds
constexpr uint32_t oldest_minor = 26;   // Linux 4.18, the first that lets a user mount
constexpr size_t max_path = 4096;
constexpr unsigned max_threads = 16;

// Twice the cores, as threads also wait: for a slow disk, and for pages when neighbours are sent.
unsigned thread_limit() {
    cpu_set_t set;
    const int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return std::clamp<unsigned>(2 * static_cast<unsigned>(n), 4, max_threads);
}

}  // namespace

// A request and the place for its answer.
struct Server::Request {
    int transport;
    Buffer& buffer;
    size_t size;  // bytes of the whole request

    const fuse_in_header& header() const { return *reinterpret_cast<const fuse_in_header*>(buffer.request()); }
    uint8_t* out() { return buffer.payload(); }

    // The fixed part of the body; NULL: the request is too short for it.
    template <class T>
    const T* body() const {
        if (size < sizeof(fuse_in_header) + sizeof(T)) return nullptr;
        return reinterpret_cast<const T*>(buffer.request() + sizeof(fuse_in_header));
    }
    // The name `skip` bytes into the body; nothing when it does not end in the request.
    std::optional<std::string_view> name(size_t skip) const {
        const size_t from = sizeof(fuse_in_header) + skip;
        if (size <= from) return {};
        const char* text = reinterpret_cast<const char*>(buffer.request()) + from;
        const size_t length = strnlen(text, size - from);
        if (length == size - from) return {};
        return std::string_view(text, length);
    }

    void reply(size_t bytes) { send(0, bytes); }
    void fail(int error) { send(-error, 0); }
    template <class T>
    void reply_with(const T& value) {
        std::memcpy(out(), &value, sizeof value);
        reply(sizeof value);
    }

    // From the image's own pages; false: they are not uncompressed there.
    bool reply_from(const View& view, uint64_t id, uint64_t offset, uint64_t capacity) {
        iovec parts[1 + StoredBytes::most_pieces];
        const size_t count = view.pieces(id, offset, capacity, std::span<iovec, StoredBytes::most_pieces>(parts + 1, StoredBytes::most_pieces));
        if (count == 0) return false;
        auto& h = buffer.header();
        h = {static_cast<uint32_t>(sizeof h), 0, header().unique};
        for (size_t i = 1; i <= count; ++i) h.len += static_cast<uint32_t>(parts[i].iov_len);
        parts[0] = {&h, sizeof h};
        // A fault (a truncated image, a bad disk) the kernel makes EIO for who reads.
        [[maybe_unused]] const ssize_t sent = writev(transport, parts, static_cast<int>(1 + count));
        return true;
    }

private:
    void send(int32_t error, size_t bytes) {
        auto& h = buffer.header();
        h.len = static_cast<uint32_t>(sizeof h + bytes);
        h.error = error;
        h.unique = header().unique;
        // A failure means that nobody waits any more (ENOENT) or that the mount is gone: the next read tells.
        [[maybe_unused]] const ssize_t sent = write(transport, &h, h.len);
    }
};

Server::Server(int transport, const View& view)
    : transport_(transport), view_(view), has_xattrs_(view.has_xattrs()), neighbours_(transport, view) {}

Server::~Server() {
    std::vector<std::thread> threads;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        threads.swap(threads_);
    }
    for (auto& t : threads) t.join();
}

void Server::serve(int leash) {
    limit_ = thread_limit();
    if (leash < 0) return answer();
    try {
        const std::lock_guard lock(mutex_);
        threads_.emplace_back([this, leash] { answer_apart(leash); });
    } catch (...) {
        return answer();
    }
    over_.wait(false);
}

// The threads that this one starts share its descriptors.
void Server::answer_apart(int leash) {
    if (unshare(CLONE_FILES) == 0) close(leash);
    answer();
}

void Server::serve_until(int other) {
    Buffer buffer;
    pollfd wait[] = {{transport_, POLLIN, 0}, {other, POLLIN, 0}};
    for (;;) {
        if (poll(wait, 2, -1) < 0) {
            if (errno == EINTR) continue;
            return;
        }
        if (wait[1].revents != 0) return;
        const ssize_t n = ::read(transport_, buffer.request(), Buffer::request_size);
        if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN)) continue;
        if (n < static_cast<ssize_t>(sizeof(fuse_in_header))) return;
        Request request{transport_, buffer, static_cast<size_t>(n)};
        handle(request);
    }
}

void Server::start_another() noexcept {
    const std::lock_guard lock(mutex_);
    if (closed_ || answering_.load(std::memory_order_relaxed) >= limit_) return;
    try {
        threads_.emplace_back([this] { answer(); });
        answering_.fetch_add(1, std::memory_order_relaxed);
    } catch (...) {  // a limit of the user, or memory: go on with the threads that there are
        closed_ = true;
    }
}

void Server::answer() {
    Buffer buffer;
    for (;;) {
        idle_.fetch_add(1, std::memory_order_relaxed);
        const ssize_t n = ::read(transport_, buffer.request(), Buffer::request_size);
        const bool last_idle = idle_.fetch_sub(1, std::memory_order_relaxed) == 1;
        if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN)) continue;  // ENOENT: taken back
        if (n < static_cast<ssize_t>(sizeof(fuse_in_header))) break;                    // ENODEV: unmounted
        Request request{transport_, buffer, static_cast<size_t>(n)};
        handle(request);
        if (last_idle && more_wanted()) start_another();
    }
    over_ = true;
    over_.notify_one();
}

// One thread to spare is always good: what the other does may take long. More only when a request is waiting now,
// so that a program that asks one thing after another does not make threads that then take turns.
bool Server::more_wanted() const noexcept {
    const unsigned answering = answering_.load(std::memory_order_relaxed);
    if (answering >= limit_ || idle_.load(std::memory_order_relaxed) > 0) return false;
    pollfd waiting{transport_, POLLIN, 0};
    return answering == 1 || poll(&waiting, 1, 0) == 1;
}

void Server::handle(Request& request) {
    const uint64_t id = request.header().nodeid;
    switch (request.header().opcode) {
        case FUSE_INIT: return initialise(request);
        case FUSE_LOOKUP: return look_up(request);
        case FUSE_READ: return read(request);
        case FUSE_READDIR: return list(request, false);
        case FUSE_READDIRPLUS: return list(request, true);
        case FUSE_GETXATTR:
        case FUSE_LISTXATTR: return xattr(request);
        case FUSE_GETATTR: {
            fuse_attr_out out{};
            if (const int error = view_.attributes(id, out.attr)) return request.fail(error);
            out.attr_valid = forever;
            return request.reply_with(out);
        }
        case FUSE_READLINK: {
            uint64_t length = 0;
            if (const int error = view_.link_target(id, reinterpret_cast<char*>(request.out()), max_path - 1, length))
                return request.fail(error);
            return request.reply(length);
        }
        case FUSE_STATFS: {
            fuse_statfs_out out{};
            view_.totals(out.st);
            return request.reply_with(out);
        }
        // Kernels that can do without open and opendir are told so once by ENOSYS; others get an answer.
        case FUSE_OPEN:
        case FUSE_OPENDIR: {
            const bool dir = request.header().opcode == FUSE_OPENDIR;
            if (dir ? may_skip_opendir_ : may_skip_open_) return request.fail(ENOSYS);
            fuse_open_out out{};
            out.open_flags = FOPEN_KEEP_CACHE | (dir ? FOPEN_CACHE_DIR : 0);
            return request.reply_with(out);
        }
        case FUSE_RELEASE:
        case FUSE_RELEASEDIR:
        case FUSE_DESTROY: return request.reply(0);
        case FUSE_FORGET:  // no node has a state here
        case FUSE_BATCH_FORGET:
        case FUSE_INTERRUPT: return;  // these want no answer
        case FUSE_IOCTL: return control(request);
        case FUSE_SETATTR:
        case FUSE_SYMLINK:
        case FUSE_MKNOD:
        case FUSE_MKDIR:
        case FUSE_UNLINK:
        case FUSE_RMDIR:
        case FUSE_RENAME:
        case FUSE_RENAME2:
        case FUSE_LINK:
        case FUSE_WRITE:
        case FUSE_SETXATTR:
        case FUSE_REMOVEXATTR:
        case FUSE_CREATE: return request.fail(EROFS);
        default: return request.fail(ENOSYS);  // access, flush, lseek, statx, ...: the kernel asks once
    }
}

void Server::initialise(Request& request) {
    // Older kernels send less than our fuse_init_in; the first four members are always there.
    struct Head {
        uint32_t major, minor, max_readahead, flags;
    };
    const auto* in = request.body<Head>();
    if (!in) return request.fail(EPROTO);
    fuse_init_out out{};
    out.major = FUSE_KERNEL_VERSION;
    out.minor = FUSE_KERNEL_MINOR_VERSION;
    if (in->major > FUSE_KERNEL_VERSION) return request.reply_with(out);  // it comes again with ours
    if (in->major < FUSE_KERNEL_VERSION || in->minor < oldest_minor) return request.fail(EPROTO);
    out.minor = std::min<uint32_t>(in->minor, FUSE_KERNEL_MINOR_VERSION);
    out.max_readahead = std::min<uint32_t>(in->max_readahead, Buffer::payload_size);
    out.flags = in->flags & (FUSE_ASYNC_READ | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | FUSE_DO_READDIRPLUS |
                             FUSE_READDIRPLUS_AUTO | FUSE_CACHE_SYMLINKS | FUSE_MAX_PAGES | FUSE_NO_OPEN_SUPPORT |
                             FUSE_NO_OPENDIR_SUPPORT | FUSE_EXPLICIT_INVAL_DATA);
    out.max_background = 64;
    out.congestion_threshold = 48;
    out.max_write = 4096;
    out.time_gran = 1;
    out.max_pages = Buffer::payload_size / 4096;
    may_skip_open_ = (in->flags & FUSE_NO_OPEN_SUPPORT) != 0;
    may_skip_opendir_ = (in->flags & FUSE_NO_OPENDIR_SUPPORT) != 0;
    request.reply_with(out);
}

void Server::look_up(Request& request) {
    const uint64_t dir = request.header().nodeid;
    const auto name = request.name(0);
    if (!name) return request.fail(EINVAL);
    fuse_entry_out out{};
    out.entry_valid = out.attr_valid = forever;
    const int error = view_.lookup(dir, *name, out.nodeid);
    if (error == ENOENT) {
        out.nodeid = 0;  // a name that never will be
        return request.reply_with(out);
    }
    if (error) return request.fail(error);
    if (const int failure = view_.attributes(out.nodeid, out.attr)) return request.fail(failure);
    request.reply_with(out);
}

void Server::list(Request& request, bool plus) {
    const auto* in = request.body<fuse_read_in>();
    if (!in) return request.fail(EINVAL);
    struct Fill {
        const View& view;
        Neighbours& neighbours;
        uint64_t dir, dir_inode;
        uint8_t* out;
        size_t used, capacity;
        bool plus;
    } fill{view_,
           neighbours_,
           request.header().nodeid,
           0,
           request.out(),
           0,
           std::min<size_t>(in->size, Buffer::payload_size),
           plus};
    fuse_attr own;
    if (const int error = view_.attributes(fill.dir, own)) return request.fail(error);
    if (!S_ISDIR(own.mode)) return request.fail(ENOTDIR);
    fill.dir_inode = own.ino;
    const int error = view_.list(
        fill.dir, in->offset,
        [](void* arg, const View::Entry& entry) {
            auto& f = *static_cast<Fill*>(arg);
            const size_t head = f.plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
            const size_t need = FUSE_DIRENT_ALIGN(head + entry.name.size());
            if (need > f.capacity - f.used) return false;
            uint8_t* at = f.out + f.used;
            std::memset(at, 0, need);
            fuse_dirent* dirent = reinterpret_cast<fuse_dirent*>(at);
            fuse_attr attr;
            attr.ino = f.dir_inode;  // of the dots: the kernel knows better
            bool known = false;
            if (entry.id != 0) {
                // A node that cannot be read keeps its name in the listing; who asks for it gets the error.
                known = f.view.attributes(entry.id, attr) == 0;
                if (!known) attr.ino = entry.id;
            }
            if (f.plus) {
                auto* both = reinterpret_cast<fuse_direntplus*>(at);
                if (known) {
                    both->entry_out.nodeid = entry.id;
                    both->entry_out.entry_valid = both->entry_out.attr_valid = forever;
                    both->entry_out.attr = attr;
                    if (entry.type == DT_REG) f.neighbours.listed(entry.id, f.dir);
                }
                dirent = &both->dirent;
            }
            dirent->ino = attr.ino;
            dirent->off = entry.offset;
            dirent->namelen = static_cast<uint32_t>(entry.name.size());
            dirent->type = entry.type;
            std::memcpy(dirent->name, entry.name.data(), entry.name.size());
            f.used += need;
            return true;
        },
        &fill);
    if (error && fill.used == 0) return request.fail(error);  // else it comes with the next part
    request.reply(fill.used);
}

void Server::read(Request& request) {
    const auto* in = request.body<fuse_read_in>();
    if (!in) return request.fail(EINVAL);
    const uint64_t id = request.header().nodeid;
    if (request.reply_from(view_, id, in->offset, std::min<uint64_t>(in->size, Buffer::payload_size))) return;
    uint64_t got = 0;
    const int error =
        view_.read(id, in->offset, request.out(), std::min<uint64_t>(in->size, Buffer::payload_size), got);
    if (error) return request.fail(error);
    if (in->offset != 0 || got == 0 || got > Neighbours::small) return request.reply(got);
    // One thread at least is left to answer: what is sent may wait for a page that another read holds.
    Neighbours::Rest rest;
    if (sending_.fetch_add(1, std::memory_order_relaxed) + 1 < answering_.load(std::memory_order_relaxed)) {
        const bool may_send = !owing_.exchange(true, std::memory_order_acquire);
        neighbours_.before_answer(id, may_send, rest);
        if (may_send) owing_.store(false, std::memory_order_release);
    }
    // Who has its answer may ask at once: then this thread counts as free, unless there is more to send.
    if (!rest.dir) sending_.fetch_sub(1, std::memory_order_relaxed);
    request.reply(got);
    if (!rest.dir) return;
    neighbours_.after_answer(rest);
    sending_.fetch_sub(1, std::memory_order_relaxed);
}

void Server::control(Request& request) {
    const auto* in = request.body<fuse_ioctl_in>();
    if (in && in->cmd == TCGETS && !(in->flags & FUSE_IOCTL_DIR)) {
        if (sending_.fetch_add(1, std::memory_order_relaxed) + 1 < answering_.load(std::memory_order_relaxed) &&
            !owing_.exchange(true, std::memory_order_acquire)) {
            neighbours_.before_reading(request.header().nodeid);
            owing_.store(false, std::memory_order_release);
        }
        sending_.fetch_sub(1, std::memory_order_relaxed);
    }
    request.fail(ENOTTY);
}

void Server::xattr(Request& request) {
    const auto* in = request.body<fuse_getxattr_in>();
    if (!in) return request.fail(EINVAL);
    const bool one = request.header().opcode == FUSE_GETXATTR;
    // Never asked again: an overlay asks for each file that it meets, and the kernel for each program that it starts.
    if (one && !has_xattrs_) return request.fail(ENOSYS);
    struct Find {
        std::string_view name;
        uint8_t* out;
        size_t capacity;
        size_t used = 0;  // may pass the capacity
        bool one, found = false;

        void put(const void* data, size_t size) {
            if (used <= capacity && size <= capacity - used) std::memcpy(out + used, data, size);
            used += size;
        }
    } find{{}, request.out(), std::min<size_t>(in->size, Buffer::payload_size), 0, one};
    if (one) {
        const auto name = request.name(sizeof *in);
        if (!name) return request.fail(EINVAL);
        find.name = *name;
    }
    const int error = view_.xattrs(
        request.header().nodeid,
        [](void* arg, const char* name, const void* value, uint64_t size) -> int32_t {
            auto& f = *static_cast<Find*>(arg);
            if (!f.one) {
                f.put(name, std::strlen(name) + 1);
                return 0;
            }
            if (f.name != name) return 0;
            f.found = true;
            f.put(value, size);
            return 1;
        },
        &find);
    if (error) return request.fail(error);
    if (one && !find.found) return request.fail(ENODATA);
    if (in->size == 0) {
        fuse_getxattr_out out{};
        out.size = static_cast<uint32_t>(find.used);
        return request.reply_with(out);
    }
    if (find.used > find.capacity) return request.fail(ERANGE);
    request.reply(find.used);
}

}  // namespace sg
