#include "mount/shared.hpp"

#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "base/error.hpp"
#include "mount/keeper.hpp"
#include "mount/rendezvous.hpp"

namespace sg {

namespace {

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

[[noreturn]] void unsupported(const char* why) { throw Error(Code::unsupported, std::string("the image's mount is not shared: ") + why); }

uint64_t fnv(std::string_view text, uint64_t hash) {
    for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
    return hash;
}

// One name for all that must be equal. The file is the one that the reader has open, whatever its path leads to now.
std::string name_of(const sg_root_v1* table, sg_root* root, const sg_mount_view& view, uint64_t offset) {
    struct stat image, space;
    if (!table->stored || fstat(table->stored->fd(root), &image) != 0) unsupported("its format has no single file");
    if (stat("/proc/self/ns/user", &space) != 0) unsupported("/proc is not there");
    std::string all = "1";  // changes with what keeper and users say to each other
    for (const uint64_t part :
         {static_cast<uint64_t>(image.st_dev), static_cast<uint64_t>(image.st_ino), static_cast<uint64_t>(image.st_size),
          static_cast<uint64_t>(image.st_mtim.tv_sec), static_cast<uint64_t>(image.st_mtim.tv_nsec), static_cast<uint64_t>(image.st_ctim.tv_sec),
          static_cast<uint64_t>(image.st_ctim.tv_nsec), offset, static_cast<uint64_t>(space.st_ino), static_cast<uint64_t>(geteuid()),
          static_cast<uint64_t>(getegid()), static_cast<uint64_t>(view.map_ids), static_cast<uint64_t>(view.uid), static_cast<uint64_t>(view.gid)})
        all += " " + std::to_string(part);
    for (auto place = view.places; place && *place; ++place) all.append(1, '\0').append(*place);
    char name[36];
    std::snprintf(name, sizeof name, "%016llx%016llx", static_cast<unsigned long long>(fnv(all, 0xcbf29ce484222325u)),
                  static_cast<unsigned long long>(fnv(all, 0x84222325cbf29ce4u)));
    return name;
}

UniqueFd meet(const KeeperTask& what) {
    UniqueFd connection = what.rendezvous.connect(what.name);
    if (connection) return connection;
    const UniqueFd held = what.rendezvous.lock();
    if (!held) unsupported("the lock of the directory for sockets cannot be had");
    connection = what.rendezvous.connect(what.name);  // somebody was faster
    if (connection) return connection;
    const UniqueFd socket = what.rendezvous.listen(what.name);
    if (!socket) unsupported("no socket can be made");
    const KeeperTask task{what.rendezvous, what.name, socket, what.table, what.root, what.view, what.linger};
    if (!start_keeper(task)) {
        what.rendezvous.remove(what.name);
        unsupported("no process can be started");
    }
    return what.rendezvous.connect(what.name);
}

}  // namespace

UniqueFd join_shared_mount(const sg_root_v1* table, sg_root* root, const sg_mount_view& view, const sg_mount_share& share) {
    const auto rendezvous = Rendezvous::open();
    if (!rendezvous) unsupported("there is no directory for sockets that is the user's alone");
    const UniqueFd lives(static_cast<int>(syscall(SYS_pidfd_open, share.lives, 0)));
    if (!lives) unsupported("this kernel has no pidfds");
    const std::string name = name_of(table, root, view, share.offset);
    const UniqueFd none;
    const UniqueFd connection = meet({*rendezvous, name, none, table, root, view, share.linger});
    SharedMount mount;
    if (!connection || !ask_keeper(connection.get(), lives.get(), mount)) unsupported("its server gives no answer");
    if (setns(mount.user_namespace.get(), CLONE_NEWUSER) != 0) unsupported("its user namespace cannot be entered");
    return std::move(mount.tree);
}

}  // namespace sg
