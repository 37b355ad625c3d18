// The /dev that scripts of a build see in the image. As root they may remove, rename and replace nodes; were these the
// host's, `rm -rf /dev/*` in %post would take them from the whole machine.
#pragma once
#include <functional>
#include <string>

namespace sg {

// Mounts on the empty directory `place` what is to be /dev: for those who may write in the host's (root) a memory file
// system with copies of its directories, links and device nodes, for others, who can spoil none of these, the host's
// itself. Terminals
// (/dev/pts) are the host's, /dev/shm is new and empty. False: nothing is mounted, as the host has no /dev.
// To be called in a mount namespace that shares no mounts with others.
bool mount_script_devices(const std::string& place);

// Calls `work` in a thread that has a mount namespace of its own, with such devices on `place`; for root. Throws what
// it throws.
void with_script_devices(const std::string& place, const std::function<void()>& work);

}  // namespace sg
