// Namespaces of the new container, and what to tell people when the system refuses them.
#pragma once
#include "family/spec.hpp"

namespace launcher {

// Moves the (single-threaded) process to a new user namespace and writes the mappings of the spec.
void enter_user_namespace(const Spec& spec);
// True when the spec wants a user namespace with nothing but the caller's own uid and gid, under their numbers.
bool maps_only_the_caller(const Spec& spec);
// True when this process can use loop devices and the kernel's file systems: real root.
bool can_mount_in_kernel();
// True unless mount.reader wants the host's server to read what the kernel could mount.
bool prefers_kernel();
// CLONE_NEW* flags beside the user and PID namespaces.
int namespace_flags(const Spec& spec);
// A network namespace of the container's own, with its loopback device alone.
bool wants_new_network(const Spec& spec);
void unshare_rest(int flags);
// An existing one, when the spec names it. With a user namespace this comes before that, as only root of the machine may.
void join_network(const Spec& spec);
void bring_up_loopback();  // in a new network namespace; a failure is not fatal

}  // namespace launcher
