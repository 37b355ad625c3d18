#include "ownership/calls.hpp"

#include <fcntl.h>
#include <linux/audit.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <string_view>

namespace sg::ownership {

namespace {

// Calls that newer architectures never had.
#if defined(__x86_64__)
#define SG_OLD(name) __NR_##name
constexpr uint32_t own_arch = AUDIT_ARCH_X86_64;
#else
#define SG_OLD(name) none
constexpr uint32_t own_arch = AUDIT_ARCH_AARCH64;
#endif

constexpr int none = -1;
constexpr uint32_t x32_bit = 0x40000000;

struct Entry {
    const char* name;
    Call call;
    int own, i386;  // numbers
    bool short_ids = false;
};

// i386: arch/x86/entry/syscalls/syscall_32.tbl.
constexpr Entry entries[] = {
    {"chown", Call::chown, SG_OLD(chown), 182, true},
    {"chown32", Call::chown, none, 212},
    {"lchown", Call::lchown, SG_OLD(lchown), 16, true},
    {"lchown32", Call::lchown, none, 198},
    {"fchown", Call::fchown, __NR_fchown, 95, true},
    {"fchown32", Call::fchown, none, 207},
    {"fchownat", Call::fchownat, __NR_fchownat, 298},
    {"open", Call::open, SG_OLD(open), 5},
    {"creat", Call::creat, SG_OLD(creat), 8},
    {"openat", Call::openat, __NR_openat, 295},
    {"openat2", Call::openat2, __NR_openat2, 437},
    {"mkdir", Call::mkdir, SG_OLD(mkdir), 39},
    {"mkdirat", Call::mkdirat, __NR_mkdirat, 296},
    {"symlink", Call::symlink, SG_OLD(symlink), 83},
    {"symlinkat", Call::symlinkat, __NR_symlinkat, 304},
    {"mknod", Call::mknod, SG_OLD(mknod), 14},
    {"mknodat", Call::mknodat, __NR_mknodat, 297},
    {"rename", Call::rename, SG_OLD(rename), 38},
    {"renameat", Call::renameat, __NR_renameat, 302},
    {"renameat2", Call::renameat, __NR_renameat2, 353},
    {"link", Call::link, SG_OLD(link), 9},
    {"linkat", Call::linkat, __NR_linkat, 303},
    {"setxattr", Call::set_xattr, __NR_setxattr, 226},
    {"lsetxattr", Call::set_link_xattr, __NR_lsetxattr, 227},
    {"fsetxattr", Call::set_fd_xattr, __NR_fsetxattr, 228},
    {"getxattr", Call::get_xattr, __NR_getxattr, 229},
    {"lgetxattr", Call::get_link_xattr, __NR_lgetxattr, 230},
    {"fgetxattr", Call::get_fd_xattr, __NR_fgetxattr, 231},
    {"listxattr", Call::list_xattr, __NR_listxattr, 232},
    {"llistxattr", Call::list_link_xattr, __NR_llistxattr, 233},
    {"flistxattr", Call::list_fd_xattr, __NR_flistxattr, 234},
    {"removexattr", Call::remove_xattr, __NR_removexattr, 235},
    {"lremovexattr", Call::remove_link_xattr, __NR_lremovexattr, 236},
    {"fremovexattr", Call::remove_fd_xattr, __NR_fremovexattr, 237},
    {"setuid", Call::setuid, __NR_setuid, 23, true},
    {"setuid32", Call::setuid, none, 213},
    {"setgid", Call::setgid, __NR_setgid, 46, true},
    {"setgid32", Call::setgid, none, 214},
    {"setreuid", Call::setreuid, __NR_setreuid, 70, true},
    {"setreuid32", Call::setreuid, none, 203},
    {"setregid", Call::setregid, __NR_setregid, 71, true},
    {"setregid32", Call::setregid, none, 204},
    {"setresuid", Call::setresuid, __NR_setresuid, 164, true},
    {"setresuid32", Call::setresuid, none, 208},
    {"setresgid", Call::setresgid, __NR_setresgid, 170, true},
    {"setresgid32", Call::setresgid, none, 210},
    {"setfsuid", Call::setfsuid, __NR_setfsuid, 138, true},
    {"setfsuid32", Call::setfsuid, none, 215},
    {"setfsgid", Call::setfsgid, __NR_setfsgid, 139, true},
    {"setfsgid32", Call::setfsgid, none, 216},
    {"setgroups", Call::setgroups, __NR_setgroups, 81, true},
    {"setgroups32", Call::setgroups, none, 206},
    {"getuid", Call::getuid, __NR_getuid, 24, true},
    {"getuid32", Call::getuid, none, 199},
    {"geteuid", Call::geteuid, __NR_geteuid, 49, true},
    {"geteuid32", Call::geteuid, none, 201},
    {"getgid", Call::getgid, __NR_getgid, 47, true},
    {"getgid32", Call::getgid, none, 200},
    {"getegid", Call::getegid, __NR_getegid, 50, true},
    {"getegid32", Call::getegid, none, 202},
    {"getresuid", Call::getresuid, __NR_getresuid, 165, true},
    {"getresuid32", Call::getresuid, none, 209},
    {"getresgid", Call::getresgid, __NR_getresgid, 171, true},
    {"getresgid32", Call::getresgid, none, 211},
    {"getgroups", Call::getgroups, __NR_getgroups, 80, true},
    {"getgroups32", Call::getgroups, none, 205},
    {"capget", Call::capget, __NR_capget, 184},
    {"capset", Call::capset, __NR_capset, 185},
    {"prctl", Call::prctl, __NR_prctl, 172},
    {"io_uring_setup", Call::io_uring_setup, __NR_io_uring_setup, 425},
    {"stat", Call::stat, SG_OLD(stat), 106, true},
    {"stat64", Call::stat, none, 195},
    {"lstat", Call::lstat, SG_OLD(lstat), 107, true},
    {"lstat64", Call::lstat, none, 196},
    {"fstat", Call::fstat, __NR_fstat, 108, true},
    {"fstat64", Call::fstat, none, 197},
    {"newfstatat", Call::fstatat, __NR_newfstatat, none},
    {"fstatat64", Call::fstatat, none, 300},
    {"statx", Call::statx, __NR_statx, 383},
    {"getdents64", Call::getdents64, __NR_getdents64, 220},
};

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto u = static_cast<unsigned char>(c);
        if (u < 0x20) {
            constexpr char digits[] = "0123456789abcdef";
            out.append("\\u00").append(1, digits[u >> 4]).append(1, digits[u & 15]);
            continue;
        }
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\"";
}

}  // namespace

std::optional<KnownCall> known_call(uint32_t arch, uint32_t number) {
    const bool i386 = arch == AUDIT_ARCH_I386 && own_arch == AUDIT_ARCH_X86_64;
    if (!i386 && arch != own_arch) return std::nullopt;
    // x32 has the numbers of x86-64 for all of these.
    if (!i386 && own_arch == AUDIT_ARCH_X86_64) number &= ~x32_bit;
    for (const Entry& e : entries) {
        const int wanted = i386 ? e.i386 : e.own;
        if (wanted != none && static_cast<uint32_t>(wanted) == number)
            return KnownCall{e.call, i386 && e.short_ids, !i386};
    }
    return std::nullopt;
}

bool is_answered(Call call, Scope scope) {
    switch (call) {
        case Call::stat:
        case Call::lstat:
        case Call::fstat:
        case Call::fstatat:
        case Call::statx:
        case Call::getdents64: return scope.stat;
        case Call::mknod:
        case Call::mknodat:
        case Call::set_xattr:
        case Call::set_link_xattr:
        case Call::set_fd_xattr:
        case Call::get_xattr:
        case Call::get_link_xattr:
        case Call::get_fd_xattr:
        case Call::list_xattr:
        case Call::list_link_xattr:
        case Call::list_fd_xattr:
        case Call::remove_xattr:
        case Call::remove_link_xattr:
        case Call::remove_fd_xattr:
        case Call::io_uring_setup: return true;
        default: return scope.owners;
    }
}

std::string profile(const std::string& listener_path, Scope scope) {
    std::string names;
    for (const Entry& e : entries) {
        if (!is_answered(e.call, scope)) continue;
        if (e.call == Call::open || e.call == Call::openat || e.call == Call::prctl) continue;  // below
        names += (names.empty() ? "" : ",") + quoted(e.name);
    }
    const auto where = [](const char* name, int index, const char* comparison, unsigned value) {
        const std::string number = std::to_string(value);
        return std::string(R"(,{"names":[")") + name + R"("],"action":"SCMP_ACT_NOTIFY","args":[{"index":)" +
               std::to_string(index) + R"(,"value":)" + number + R"(,"valueTwo":)" + number + R"(,"op":")" +
               comparison + R"("}]})";
    };
    std::string architectures;
#if defined(__x86_64__)
    architectures = R"("SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32")";
#endif
    std::string some;
    if (scope.owners)
        some = where("open", 1, "SCMP_CMP_MASKED_EQ", O_CREAT) + where("openat", 2, "SCMP_CMP_MASKED_EQ", O_CREAT) +
               where("prctl", 0, "SCMP_CMP_EQ", PR_SET_KEEPCAPS) + where("prctl", 0, "SCMP_CMP_EQ", PR_SET_SECUREBITS);
    return R"({"defaultAction":"SCMP_ACT_ALLOW","architectures":[)" + architectures + R"(],"listenerPath":)" +
           quoted(listener_path) + R"(,"syscalls":[{"names":[)" + names + R"(],"action":"SCMP_ACT_NOTIFY"})" + some + "]}";
}

}  // namespace sg::ownership
