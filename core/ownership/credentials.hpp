// Who a program of the build believes to be, by the kernel's rules (credentials(7), capabilities(7), setresuid(2)).
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <vector>

namespace sg::ownership {

constexpr uint32_t unchanged = UINT32_MAX;
extern const uint64_t all_capabilities;

struct Ids {
    uint32_t real = 0, effective = 0, saved = 0, fs = 0;
    auto operator<=>(const Ids&) const = default;
};

struct Credentials {
    Ids user, group;
    std::vector<uint32_t> groups;
    uint64_t effective = all_capabilities, permitted = all_capabilities, inheritable = 0;
    uint32_t securebits = 0;
    uint64_t program = 0;  // which program took them (CredentialTable); another one has gone through an exec since

    auto operator<=>(const Credentials&) const = default;
    bool has(int capability) const { return effective >> capability & 1; }
    bool in_group(uint32_t gid) const;
    bool is_root() const;  // all of it is what a program of root's begins with
};

// Each returns 0, -EPERM or -EINVAL; after an error nothing has changed.
int set_user(Credentials& c, uint32_t id);                                          // setuid
int set_group(Credentials& c, uint32_t id);                                         // setgid
int set_real_effective_user(Credentials& c, uint32_t real, uint32_t effective);     // setreuid
int set_real_effective_group(Credentials& c, uint32_t real, uint32_t effective);    // setregid
int set_users(Credentials& c, uint32_t real, uint32_t effective, uint32_t saved);   // setresuid
int set_groups(Credentials& c, uint32_t real, uint32_t effective, uint32_t saved);  // setresgid
uint32_t set_fs_user(Credentials& c, uint32_t id);                                  // setfsuid: the id before
uint32_t set_fs_group(Credentials& c, uint32_t id);                                 // setfsgid
int set_capabilities(Credentials& c, uint64_t effective, uint64_t permitted, uint64_t inheritable);  // capset
// What execve(2) makes of them; no file here gives capabilities or another user (no_new_privs).
Credentials after_exec(Credentials c);

// Credentials of running processes. The kernel itself carries them along: each process has their number in its soft
// limit RLIMIT_LOCKS, which nothing has used since Linux 2.4. So a fork gives them to the child at the right moment, an
// exec keeps them, and the end of a process leaves nothing to be cleaned up. Threads share them.
class CredentialTable {
public:
    CredentialTable() : known_(1) {}
    // Of the process that `pid` (or thread) belongs to; root's for one that never changed them.
    Credentials of(pid_t pid) const;
    // False: the process is gone, or a hard limit forbids it.
    bool assign(pid_t pid, Credentials to);

private:
    std::vector<Credentials> known_;  // the first one is root's
    std::map<Credentials, size_t> numbers_;
};

}  // namespace sg::ownership
