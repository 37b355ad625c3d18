// The host service "mount" 1 and 2 (singularity/host.h): serves an image's root file system by FUSE. What the second
// version adds, one server for all of a user's containers of an image, is explained in shared.hpp.
//
// Order in a launcher, as an ordinary user:
//
//     unshare(CLONE_NEWUSER), maps written    the device must be opened inside this namespace
//     prepare(table, root, view, &server)     opens /dev/fuse, forks the detached server
//     unshare(CLONE_NEWNS)                    the server stays behind, in the old mount namespace
//     attach(server, "/absolute/target")      mounts, and lets the server answer
//
// Both calls come from a process of one thread that has not yet done unshare(CLONE_NEWPID): the first fork
// after that would become the first process of the new namespace. Between the two calls the caller may fork,
// but a child that lives on without exec keeps an unattached server waiting.
// prepare copies `view`; `table` and `root` may be closed by the caller afterwards, the server has its own
// copy of them. attach frees the handle, whether it fails or not. A caller that ends before attach takes the
// server with it. Several images in one process: one pair of calls for each.
//
// The server ends when the kernel tears the mount down, that is with the last process of the mount namespace;
// it ignores every signal but SIGKILL, after which reads in the mount give ENOTCONN.
// As real root, without a user namespace of one's own, the same calls work.
#pragma once
#include <singularity/host.h>

namespace sg {

// The table of the service: static memory.
const sg_host_mount_v2* mount_service();

}  // namespace sg
