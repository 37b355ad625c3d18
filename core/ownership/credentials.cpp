#include "ownership/credentials.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

namespace sg::ownership {

const uint64_t all_capabilities = (uint64_t{1} << (CAP_LAST_CAP + 1)) - 1;

namespace {

constexpr rlim_t first_number = rlim_t{0x5347} << 32;  // no limit that somebody sets by hand

bool one_of(uint32_t id, std::initializer_list<uint32_t> list) {
    return std::find(list.begin(), list.end(), id) != list.end();
}

int set_id(Ids& ids, uint32_t id, bool privileged) {
    if (id == unchanged) return -EINVAL;
    if (privileged)
        ids.real = ids.saved = id;
    else if (!one_of(id, {ids.real, ids.saved}))
        return -EPERM;
    ids.effective = ids.fs = id;
    return 0;
}

int set_two(Ids& ids, uint32_t real, uint32_t effective, bool privileged) {
    Ids to = ids;
    if (real != unchanged) {
        if (!privileged && !one_of(real, {ids.real, ids.effective})) return -EPERM;
        to.real = real;
    }
    if (effective != unchanged) {
        if (!privileged && !one_of(effective, {ids.real, ids.effective, ids.saved})) return -EPERM;
        to.effective = effective;
    }
    if (real != unchanged || (effective != unchanged && effective != ids.real)) to.saved = to.effective;
    to.fs = to.effective;
    ids = to;
    return 0;
}

int set_three(Ids& ids, uint32_t real, uint32_t effective, uint32_t saved, bool privileged) {
    for (const uint32_t id : {real, effective, saved})
        if (id != unchanged && !privileged && !one_of(id, {ids.real, ids.effective, ids.saved})) return -EPERM;
    if (real != unchanged) ids.real = real;
    if (effective != unchanged) ids.effective = effective;
    if (saved != unchanged) ids.saved = saved;
    ids.fs = ids.effective;
    return 0;
}

uint32_t set_fs(Ids& ids, uint32_t id, bool privileged) {
    const uint32_t before = ids.fs;
    if (id != unchanged && (privileged || one_of(id, {ids.real, ids.effective, ids.saved, ids.fs}))) ids.fs = id;
    return before;
}

// capabilities(7), "Effect of user ID changes on capabilities".
int follow(Credentials& c, const Ids& before, int result) {
    if (result != 0 || (c.securebits & SECBIT_NO_SETUID_FIXUP)) return result;
    const auto any_root = [](const Ids& i) { return i.real == 0 || i.effective == 0 || i.saved == 0; };
    if (any_root(before) && !any_root(c.user) && !(c.securebits & SECBIT_KEEP_CAPS)) c.permitted = c.effective = 0;
    if (before.effective == 0 && c.user.effective != 0) c.effective = 0;
    if (before.effective != 0 && c.user.effective == 0) c.effective = c.permitted;
    return result;
}

// Where the stack of the process' program begins (proc(5), stat, field 28); 0 when it is gone.
uint64_t program_of(pid_t pid) {
    const int fd = open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    char text[1024];
    const ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[std::max<ssize_t>(n, 0)] = '\0';
    const char* at = std::strrchr(text, ')');  // the name may hold anything
    for (int field = 2; at && field < 28; ++field) at = std::strchr(at + 1, ' ');
    return at ? std::strtoull(at, nullptr, 10) : 0;
}

}  // namespace

bool Credentials::in_group(uint32_t gid) const {
    return gid == group.fs || gid == group.effective || std::find(groups.begin(), groups.end(), gid) != groups.end();
}

bool Credentials::is_root() const {
    static const Credentials root;
    Credentials same = *this;
    same.program = 0;
    return same == root;
}

int set_user(Credentials& c, uint32_t id) {
    const Ids before = c.user;
    return follow(c, before, set_id(c.user, id, c.has(CAP_SETUID)));
}
int set_real_effective_user(Credentials& c, uint32_t real, uint32_t effective) {
    const Ids before = c.user;
    return follow(c, before, set_two(c.user, real, effective, c.has(CAP_SETUID)));
}
int set_users(Credentials& c, uint32_t real, uint32_t effective, uint32_t saved) {
    const Ids before = c.user;
    return follow(c, before, set_three(c.user, real, effective, saved, c.has(CAP_SETUID)));
}
uint32_t set_fs_user(Credentials& c, uint32_t id) { return set_fs(c.user, id, c.has(CAP_SETUID)); }

int set_group(Credentials& c, uint32_t id) { return set_id(c.group, id, c.has(CAP_SETGID)); }
int set_real_effective_group(Credentials& c, uint32_t real, uint32_t effective) {
    return set_two(c.group, real, effective, c.has(CAP_SETGID));
}
int set_groups(Credentials& c, uint32_t real, uint32_t effective, uint32_t saved) {
    return set_three(c.group, real, effective, saved, c.has(CAP_SETGID));
}
uint32_t set_fs_group(Credentials& c, uint32_t id) { return set_fs(c.group, id, c.has(CAP_SETGID)); }

int set_capabilities(Credentials& c, uint64_t effective, uint64_t permitted, uint64_t inheritable) {
    if ((permitted & ~c.permitted) || (effective & ~permitted)) return -EPERM;
    if (!c.has(CAP_SETPCAP) && (inheritable & ~(c.inheritable | c.permitted))) return -EPERM;
    c.effective = effective, c.permitted = permitted, c.inheritable = inheritable;
    return 0;
}

Credentials after_exec(Credentials c) {
    for (Ids* ids : {&c.user, &c.group}) ids->saved = ids->fs = ids->effective;
    c.securebits &= ~static_cast<uint32_t>(SECBIT_KEEP_CAPS);
    const bool root = !(c.securebits & SECBIT_NOROOT) && (c.user.real == 0 || c.user.effective == 0);
    c.permitted = root ? all_capabilities : 0;
    c.effective = root && c.user.effective == 0 ? all_capabilities : 0;
    return c;
}

Credentials CredentialTable::of(pid_t pid) const {
    rlimit limit{};
    if (known_.size() == 1 || prlimit(pid, RLIMIT_LOCKS, nullptr, &limit) != 0) return known_[0];
    const rlim_t number = limit.rlim_cur - first_number;
    if (limit.rlim_cur < first_number || number == 0 || number >= known_.size()) return known_[0];
    const Credentials& c = known_[number];
    return c.program == program_of(pid) ? c : after_exec(c);
}

bool CredentialTable::assign(pid_t pid, Credentials to) {
    rlimit limit{};
    if (prlimit(pid, RLIMIT_LOCKS, nullptr, &limit) != 0) return false;
    size_t number = 0;
    if (!to.is_root()) {
        to.program = program_of(pid);
        const auto [at, fresh] = numbers_.try_emplace(to, known_.size());
        if (fresh) known_.push_back(to);
        number = at->second;
    } else if (limit.rlim_cur < first_number || limit.rlim_cur - first_number >= known_.size()) {
        return true;
    }
    limit.rlim_cur = first_number + number;
    return prlimit(pid, RLIMIT_LOCKS, &limit, nullptr) == 0;
}

}  // namespace sg::ownership
