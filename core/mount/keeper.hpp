// The process that keeps a user's shared mount of an image: it has the user namespace and a mount namespace in which
// the image is mounted, and hands both to every process of the user that asks at its socket.
//
// It may be started before all is known that it has to show: a container's start prepares its LaunchSpec meanwhile.
//
// It knows its users by pidfds. Some seconds after the last of them has ended it ends too; the mount goes with it once
// no container has a copy any more, and with the mount the FUSE server (detached.hpp). When the server ends before
// that (it was killed, or the kernel ran out of memory), each user's standard error gets one line, and the socket is
// taken away, so that the next start makes new ones.
#pragma once
#include <singularity/host.h>

#include <string>

#include "base/unique_fd.hpp"
#include "mount/rendezvous.hpp"

namespace sg {

struct KeeperTask {
    const Rendezvous& rendezvous;
    const sg_root_v1* table;
    sg_root* root;
    const sg_mount_view& view;  // its places are part of the orders
    int right = -1;             // Rendezvous::right_to_begin, released with the orders
};

// Starts it as a detached process that gets ready and waits for its orders; without any, or when the connection ends,
// it ends. Returns the connection for them; empty: no more processes.
UniqueFd start_keeper(const KeeperTask& task) noexcept;

struct KeeperOrders {
    const std::string& name;    // of the socket
    const UniqueFd& socket;     // listens
    const char* const* places;  // of sg_mount_view
    unsigned linger;            // seconds
};
// False: it has ended, or there are too many places for one message.
bool order_keeper(int connection, const KeeperOrders& orders) noexcept;

// What it does with a connection, seen from the other side: gives `lives`, a pidfd of the process whose end ends the
// use, and receives the user namespace and a detached mount of the image.
struct SharedMount {
    UniqueFd user_namespace, tree;
};
bool ask_keeper(int connection, int lives, SharedMount& out) noexcept;

}  // namespace sg
