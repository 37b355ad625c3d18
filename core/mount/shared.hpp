// One FUSE server and one page cache for all containers that a user runs from one image on this machine: what
// "mount" 2 offers launchers (singularity/host.h).
//
// Who shares: processes of the same effective user and group, in the same user namespace, that are ended together
// (job.hpp), whose image is the same file (device, inode, size and times, position of the file system in it) and whose
// containers have the same mount points.
// All else gets a server of its own.
#pragma once
#include <singularity/format.h>
#include <singularity/host.h>

#include "base/unique_fd.hpp"

namespace sg {

// Begins with what an ordinary container of this user needs from a server of its own, where none lives: the process of
// the server gets ready while the caller prepares its launch, and join_shared_mount finds it. What was begun for
// nothing ends with the caller, or its next exec. For a process of one thread.
void expect_shared_mount(const sg_root_v1* table, sg_root* root, uint64_t offset) noexcept;

// Contract: sg_host_mount_v2.join. Returns the detached mount; throws Error with Code::unsupported when it cannot be
// shared, nothing having changed for the calling process.
UniqueFd join_shared_mount(const sg_root_v1* table, sg_root* root, const sg_mount_view& view,
                           const sg_mount_share& share);

}  // namespace sg
