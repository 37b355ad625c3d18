// How a process that was just forked leaves everything of its caller behind.
#pragma once
#include <functional>
#include <initializer_list>

#include "base/unique_fd.hpp"

namespace sg {

// Runs `life` in a new process that is no child of the caller's and ends with it (status 0). Every signal is blocked
// there. Returns 0, or the errno of why no process could be made. For a process of one thread.
int start_in_background(const std::function<void()>& life) noexcept;

// The same open file under a number that enter_background() leaves alone (a caller may have been started with its
// standard descriptors closed). Throws Error.
UniqueFd above_standard(UniqueFd fd);

// Own session, working directory "/", default signal handlers with everything blocked but what a fault of its
// own raises (so only SIGKILL ends it from outside: a batch system's SIGTERM must not take the container's
// files away before its processes are done), name "singularity-fs" in process lists, standard descriptors on
// /dev/null.
// Open stay `keep` and what this program itself (close-on-exec, so not inherited) opened for reading: files,
// directories, block devices: that is what readers of images live on. All else is closed: inherited
// descriptors, locks, namespaces, pipes and sockets whose end somebody may wait for.
// Not dumpable: processes in the container, which have the same user, cannot trace it or read its memory.
// Never fails: what cannot be had is left as it is. For a process of one thread.
void enter_background(std::initializer_list<int> keep) noexcept;

}  // namespace sg
