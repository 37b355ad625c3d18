// A FUSE server as a process of its own: made before the mount namespace, let go once the mount stands.
// Contract of the order, of forks in between and of the end: service.hpp.
#pragma once
#include <singularity/host.h>

#include <memory>

#include "base/unique_fd.hpp"
#include "mount/one_cpu.hpp"

namespace sg {

class DetachedServer {
public:
    // Opens the device and forks the server, which waits. Throws Error: no device, no right to it (the
    // message has its mode, the hint who can change it), no more processes.
    // Without `view.places` serve() may name some.
    // With `together` the caller is kept to one processor, and so is the server until let_go().
    static std::unique_ptr<DetachedServer> prepare(const sg_root_v1* table, sg_root* root, const sg_mount_view& view,
                                                   OneCpu* together = nullptr);

    // Mounts on the absolute directory `target`, read-only, nosuid, nodev, for every user of the caller's
    // user namespace. Throws Error; then nothing is mounted and the server ends. Once only.
    void mount(const char* target);
    // Lets the server answer. The first access to the mount waits for the server, this call does not. Throws Error: it
    // has ended. Returns the leash's end: it becomes readable when the server has ended, and may be closed at any time.
    UniqueFd serve(const char* const* places = nullptr);

    // Of a server that was prepared `together`: it may run anywhere and with all of its threads. `leash` is what
    // serve() returned; its end has the same effect.
    static void let_go(int leash) noexcept;

private:
    DetachedServer(UniqueFd device, UniqueFd leash) : device_(std::move(device)), leash_(std::move(leash)) {}

    UniqueFd device_;
    UniqueFd leash_;  // one end of a socket pair: its end says "go away"
};

}  // namespace sg
