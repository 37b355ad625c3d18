#include "mount/shared.hpp"

#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "mount/job.hpp"
#include "mount/keeper.hpp"
#include "mount/rendezvous.hpp"

namespace sg {

namespace {

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

[[noreturn]] void unsupported(const char* why) {
    throw Error(Code::unsupported, std::string("the image's mount is not shared: ") + why);
}

uint64_t fnv(std::string_view text, uint64_t hash) {
    for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
    return hash;
}

std::string hexadecimal(uint64_t number) {
    char out[17];
    std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(number));
    return out;
}

// What must be equal but for the mount points. The file is the one that the reader has open, whatever its path leads to
// now.
std::string image_of(const sg_root_v1* table, sg_root* root, const sg_mount_view& view, uint64_t offset) {
    struct stat image, space;
    if (!table->stored || fstat(table->stored->fd(root), &image) != 0) unsupported("its format has no single file");
    if (stat("/proc/self/ns/user", &space) != 0) unsupported("/proc is not there");
    std::string all = "2 " + job_of_caller();  // the number changes with what keeper and users say to each other
    for (const uint64_t part :
         {static_cast<uint64_t>(image.st_dev), static_cast<uint64_t>(image.st_ino),
          static_cast<uint64_t>(image.st_size), static_cast<uint64_t>(image.st_mtim.tv_sec),
          static_cast<uint64_t>(image.st_mtim.tv_nsec), static_cast<uint64_t>(image.st_ctim.tv_sec),
          static_cast<uint64_t>(image.st_ctim.tv_nsec), offset, static_cast<uint64_t>(space.st_ino),
          static_cast<uint64_t>(geteuid()), static_cast<uint64_t>(getegid()), static_cast<uint64_t>(view.map_ids),
          static_cast<uint64_t>(view.uid), static_cast<uint64_t>(view.gid)})
        all += " " + std::to_string(part);
    return hexadecimal(fnv(all, 0xcbf29ce484222325u));
}

std::string name_of(const std::string& image, const sg_mount_view& view) {
    std::string all;
    for (auto place = view.places; place && *place; ++place) all.append(1, '\0').append(*place);
    return image + hexadecimal(fnv(all, 0x84222325cbf29ce4u));
}

// A keeper that was started before its orders were known.
struct Expected {
    std::string image;
    UniqueFd connection;
};
std::optional<Expected> expected;

// Gives a keeper its orders, one that waits for them if there is one.
bool have_kept(const KeeperTask& task, const std::string& image, const KeeperOrders& orders) {
    if (const auto early = std::exchange(expected, std::nullopt);
        early && early->image == image && order_keeper(early->connection.get(), orders))
        return true;
    const UniqueFd connection = start_keeper(task);
    return connection && order_keeper(connection.get(), orders);
}

UniqueFd meet(const KeeperTask& task, const std::string& image, const std::string& name, const char* const* places,
              unsigned linger) {
    UniqueFd connection = task.rendezvous.connect(name);
    if (connection) return connection;
    const UniqueFd held = task.rendezvous.lock();
    if (!held) unsupported("the lock of the directory for sockets cannot be had");
    connection = task.rendezvous.connect(name);  // somebody was faster
    if (connection) return connection;
    const UniqueFd socket = task.rendezvous.listen(name);
    if (!socket) unsupported("no socket can be made");
    if (!have_kept(task, image, {name, socket, places, linger})) {
        task.rendezvous.remove(name);
        unsupported("no process can be had for its server");
    }
    return task.rendezvous.connect(name);
}

}  // namespace

void expect_shared_mount(const sg_root_v1* table, sg_root* root, uint64_t offset) noexcept {
    try {
        const auto rendezvous = Rendezvous::open();
        if (!rendezvous) return;
        sg_mount_view view{};
        view.uid = geteuid();
        view.gid = getegid();
        view.map_ids = 1;
        const std::string image = image_of(table, root, view, offset);
        if (rendezvous->has(image)) return;
        const UniqueFd right = rendezvous->right_to_begin();
        if (!right) return;
        if (UniqueFd connection = start_keeper({*rendezvous, table, root, view, right.get()}))
            expected = Expected{image, std::move(connection)};
    } catch (const std::exception&) {  // join_shared_mount finds it out again, and says it
    }
}

UniqueFd join_shared_mount(const sg_root_v1* table, sg_root* root, const sg_mount_view& view,
                           const sg_mount_share& share) {
    const auto rendezvous = Rendezvous::open();
    if (!rendezvous) unsupported("there is no directory for sockets that is the user's alone");
    const UniqueFd lives(static_cast<int>(syscall(SYS_pidfd_open, share.lives, 0)));
    if (!lives) unsupported("this kernel has no pidfds");
    const std::string image = image_of(table, root, view, share.offset);
    sg_mount_view bare = view;
    bare.places = nullptr;
    const UniqueFd connection =
        meet({*rendezvous, table, root, bare}, image, name_of(image, view), view.places, share.linger);
    expected.reset();  // who joins another's server needs none
    SharedMount mount;
    if (!connection || !ask_keeper(connection.get(), lives.get(), mount)) unsupported("its server gives no answer");
    if (setns(mount.user_namespace.get(), CLONE_NEWUSER) != 0) unsupported("its user namespace cannot be entered");
    return std::move(mount.tree);
}

}  // namespace sg
