#include "mount/keeper.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "mount/background.hpp"
#include "mount/detached.hpp"
#include "mount/warm_up.hpp"

namespace sg {

namespace {

#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
constexpr unsigned open_tree_clone = 1;
constexpr timeval patience{2, 0};              // for what a user says at once
constexpr timeval patience_for_orders{20, 0};  // of a start's preparations
constexpr size_t most_orders = 128 << 10;      // bytes
constexpr size_t spare_descriptors = 32;

void write_text(const char* path, const std::string& text) {
    const UniqueFd file(open(path, O_WRONLY | O_CLOEXEC));
    if (!file || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        throw_errno("cannot write", path);
}

// In which there is nobody but the caller.
void enter_user_namespace() {
    const std::string uid = std::to_string(geteuid()), gid = std::to_string(getegid());
    if (unshare(CLONE_NEWUSER) != 0) throw_errno("cannot create a user namespace", "");
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", uid + " " + uid + " 1\n");
    write_text("/proc/self/gid_map", gid + " " + gid + " 1\n");
}

// How many users there may be at once: each takes a descriptor.
size_t room_for_users() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 256;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur > 2 * spare_descriptors ? static_cast<size_t>(limit.rlim_cur) - spare_descriptors
                                                  : spare_descriptors;
}

bool ours(int connection) {
    ucred peer{};
    socklen_t size = sizeof peer;
    return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

// The kernel numbers connections by the minor numbers of their file systems' devices.
unsigned connection_of(const std::string& mount) {
    struct stat s;
    return stat(mount.c_str(), &s) == 0 ? minor(s.st_dev) : 0;
}

// The process that a pidfd stands for, as this PID namespace numbers it; 0: it has ended, or is not seen from here.
long process_of(int pidfd) {
    std::FILE* info = std::fopen(("/proc/self/fdinfo/" + std::to_string(pidfd)).c_str(), "re");
    if (!info) return 0;
    char line[128];
    long pid = 0;
    while (std::fgets(line, sizeof line, info))
        if (std::sscanf(line, "Pid: %ld", &pid) == 1) break;
    std::fclose(info);
    return pid > 0 ? pid : 0;
}

class Keeper {
public:
    Keeper(const KeeperTask& task, int orders, int starter) : task_(task), orders_(orders), starter_(starter) {}

    // Who waits at the socket when this fails gets the connection's end, mounts for itself, and says what is wrong.
    void run() noexcept {
        OneCpu together(starter_);  // until all is warm
        std::unique_ptr<DetachedServer> server;
        try {
            server = begin(together);
        } catch (...) {
        }
        try {
            if (!receive_orders()) return;
            if (!server) return leave();
            finish(*server);
        } catch (...) {
            return leave();
        }
        together.release();
        while (serve_users()) {
        }
    }

private:
    std::unique_ptr<DetachedServer> begin(OneCpu& together) {
        enter_user_namespace();
        enter_background({orders_});
        auto server = DetachedServer::prepare(task_.table, task_.root, task_.view, &together);
        if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
            throw_errno("cannot create a mount namespace", "");
        server->mount(task_.rendezvous.path().c_str());
        user_namespace_ = UniqueFd(open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC));
        most_users_ = room_for_users();
        return server;
    }

    bool receive_orders() {
        orders_text_.reset(new char[most_orders]);  // not one page of it touched but for what comes
        std::span<char> text(orders_text_.get(), most_orders);
        const bool received = receive_descriptors(orders_, &socket_, 1, &text);
        if (task_.right >= 0) Rendezvous::release(task_.right);
        if (!received) return false;
        const char* at = text.data();
        const char* const end = at + text.size();
        const auto next = [&] { return std::exchange(at, at + std::strlen(at) + 1); };
        name_ = next();
        linger_ = std::chrono::seconds(std::strtoul(next(), nullptr, 10));
        while (at < end) places_.push_back(next());
        places_.push_back(nullptr);
        return true;
    }

    void finish(DetachedServer& server) {
        server_ = server.serve(places_.data());
        look_up_places();
        welcome_first();
        const WarmUp warm_up(UniqueFd(open(task_.rendezvous.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)).get());
        connection_ = connection_of(task_.rendezvous.path());
        DetachedServer::let_go(server_.get());
        warm_up.read_ahead();
        used_ = Clock::now();
    }

    // Who started all this makes its mounts while the rest is warmed up.
    void welcome_first() {
        pollfd waiting{socket_.get(), POLLIN, 0};
        if (poll(&waiting, 1, 0) == 1) welcome();
    }

    // Kernel fact (6.18): when many processes look a name up for the first time at once, a bind onto it can fail with
    // ENOENT. So every mount point is looked up before anybody is let in.
    void look_up_places() const {
        for (auto place = places_.data(); *place; ++place)
            UniqueFd(open((task_.rendezvous.path() + *place).c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    }

    // Waits for the next thing that happens; false: that was the end.
    bool serve_users() {
        std::vector<pollfd> wait{{socket_.get(), POLLIN, 0}, {server_.get(), POLLIN, 0}};
        for (const auto& u : users_) wait.push_back({u.get(), POLLIN, 0});
        const int n = poll(wait.data(), wait.size(), users_.empty() ? left_to_linger() : -1);
        if (n < 0) return errno == EINTR || errno == ENOMEM;
        if (n == 0) return !end_unless_wanted();
        if (wait[1].revents != 0) {
            end_connection();
            tell_users();
            leave();
            return false;
        }
        if (!users_.empty()) used_ = Clock::now();
        for (size_t i = users_.size(); i-- > 0;)
            if (wait[i + 2].revents != 0) users_.erase(users_.begin() + static_cast<std::ptrdiff_t>(i));
        if (wait[0].revents != 0) welcome();
        return true;
    }

    // From the end of the last user: who only looks whether anybody is here does not keep the server.
    int left_to_linger() const {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(used_ + linger_ - Clock::now()).count();
        return static_cast<int>(std::max<int64_t>(0, left));
    }

    bool end_unless_wanted() {
        const UniqueFd held = task_.rendezvous.lock();
        pollfd late{socket_.get(), POLLIN, 0};
        if (held && poll(&late, 1, 0) != 0) return false;
        task_.rendezvous.remove(name_);
        return true;
    }

    void leave() {
        const UniqueFd held = task_.rendezvous.lock();
        task_.rendezvous.remove(name_);
    }

    void welcome() {
        const UniqueFd connection(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!connection || users_.size() >= most_users_ || !ours(connection.get())) return;
        setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        UniqueFd process;
        if (!receive_descriptors(connection.get(), &process, 1)) return;
        const UniqueFd tree(static_cast<int>(
            syscall(SYS_open_tree, AT_FDCWD, task_.rendezvous.path().c_str(), open_tree_clone | O_CLOEXEC)));
        if (!tree) return;
        users_.push_back(std::move(process));
        send_descriptors(connection.get(), {user_namespace_.get(), tree.get()});
    }

    // The server was killed. Where it waits for a page (neighbours.hpp) it is not gone, and readers wait with it for
    // ever. The owner of the mount may end its connection: from Linux 6.15 on by umount, before where the file system
    // "fusectl" is mounted.
    void end_connection() const {
        if (umount2(task_.rendezvous.path().c_str(), MNT_FORCE | MNT_DETACH) == 0 || connection_ == 0) return;
        const UniqueFd abort(
            open(("/sys/fs/fuse/connections/" + std::to_string(connection_) + "/abort").c_str(), O_WRONLY | O_CLOEXEC));
        if (abort) [[maybe_unused]]
            const ssize_t n = write(abort.get(), "1", 1);
    }

    // By what is the user's standard error now: holding a descriptor of it would keep a pipe open that somebody waits
    // for the end of.
    void tell_users() const {
        static constexpr char line[] =
            "FATAL:   The server of this container's file system has ended (was it killed?): nothing in the image can "
            "be read any more. End the container and start it again.\n";
        for (const auto& user : users_) {
            const long pid = process_of(user.get());
            if (pid == 0) continue;
            const UniqueFd err(open(("/proc/" + std::to_string(pid) + "/fd/2").c_str(),
                                    O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
            if (err) [[maybe_unused]]
                const ssize_t n = write(err.get(), line, sizeof line - 1);
        }
    }

    const KeeperTask& task_;
    const int orders_;
    const int starter_;  // the processor of who waits for the keeper
    std::unique_ptr<char[]> orders_text_;  // its texts are
    const char* name_ = "";                // of the socket, and
    std::vector<const char*> places_;      // mount points; NULL at the end
    std::chrono::seconds linger_{};
    UniqueFd socket_;
    UniqueFd server_;  // ends when the server does
    UniqueFd user_namespace_;
    unsigned connection_ = 0;  // the kernel's number for it; 0: unknown
    std::vector<UniqueFd> users_;
    size_t most_users_ = 0;
    using Clock = std::chrono::steady_clock;
    Clock::time_point used_;  // when the last user was seen
};

}  // namespace

UniqueFd start_keeper(const KeeperTask& task) noexcept {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return {};
    UniqueFd ours(pair[0]);
    const UniqueFd theirs(pair[1]);
    setsockopt(theirs.get(), SOL_SOCKET, SO_RCVTIMEO, &patience_for_orders, sizeof patience_for_orders);
    const int starter = sched_getcpu();
    const bool started = start_in_background([&] {
                             ours.reset();
                             Keeper(task, theirs.get(), starter).run();
                         }) == 0;
    if (!started) ours.reset();
    return ours;
}

bool order_keeper(int connection, const KeeperOrders& orders) noexcept {
    std::string text = orders.name;
    text.append(1, '\0').append(std::to_string(orders.linger)).push_back('\0');
    for (auto place = orders.places; place && *place; ++place) text.append(*place).push_back('\0');
    return text.size() <= most_orders && send_descriptors(connection, {orders.socket.get()}, text);
}

bool ask_keeper(int connection, int lives, SharedMount& out) noexcept {
    UniqueFd got[2];
    if (!send_descriptors(connection, {lives}) || !receive_descriptors(connection, got, 2)) return false;
    out = {std::move(got[0]), std::move(got[1])};
    return true;
}

}  // namespace sg
