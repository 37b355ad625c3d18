// The system calls by which a program tells of owners, devices and identities, and asks for them: those that a build of
// a user without subordinate ids has answered by a supervisor (supervisor.hpp).
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace sg::ownership {

enum class Call {
    chown,
    lchown,
    fchown,
    fchownat,
    open,
    creat,
    openat,
    openat2,
    mkdir,
    mkdirat,
    symlink,
    symlinkat,
    mknod,
    mknodat,
    rename,
    renameat,
    link,
    linkat,
    set_xattr,
    set_link_xattr,
    set_fd_xattr,
    get_xattr,
    get_link_xattr,
    get_fd_xattr,
    list_xattr,
    list_link_xattr,
    list_fd_xattr,
    remove_xattr,
    remove_link_xattr,
    remove_fd_xattr,
    setuid,
    setgid,
    setreuid,
    setregid,
    setresuid,
    setresgid,
    setfsuid,
    setfsgid,
    setgroups,
    getuid,
    geteuid,
    getgid,
    getegid,
    getresuid,
    getresgid,
    getgroups,
    capget,
    capset,
    prctl,
    io_uring_setup,
    stat,
    lstat,
    fstat,
    fstatat,
    statx,
    getdents64,
};

// What is answered.
struct Scope {
    // All that speaks of owners; false, in a namespace that has other ids of its own: only what the kernel refuses
    // there too, device nodes and attributes of root's.
    bool owners = true;
    // What files are said to be as well: stat and its kin, and the types in directories.
    bool stat = false;
};

bool is_answered(Call call, Scope scope);

struct KnownCall {
    Call call;
    bool short_ids = false;  // of i386's first days: ids have 16 bits, 0xffff is "as it is"; of stat the oldest form
    bool wide = true;        // arguments have 64 bits
};

// What number `number` of `arch` (AUDIT_ARCH_*, as in struct seccomp_data) is: this machine's own calls, those of x32
// and of 32-bit x86. Nothing for any other.
std::optional<KnownCall> known_call(uint32_t arch, uint32_t number);

// An OCI seccomp profile (runtime-spec, config-linux.md "Seccomp") that allows all and asks the listener at
// `listener_path` about these calls; those that open a file only where they may make it, and of prctl what decides
// about capabilities.
std::string profile(const std::string& listener_path, Scope scope = {});

}  // namespace sg::ownership
