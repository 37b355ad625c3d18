#include "family/capability_names.hpp"

#include <iterator>

namespace launcher {

// By number, as in linux/capability.h of 6.1.
static constexpr std::string_view names[] = {
    "CHOWN",       "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER",        "FSETID",         "KILL",         "SETGID",      "SETUID",        "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",      "IPC_LOCK",     "IPC_OWNER",   "SYS_MODULE",    "SYS_RAWIO",
    "SYS_CHROOT",  "SYS_PTRACE",   "SYS_PACCT",       "SYS_ADMIN",     "SYS_BOOT",       "SYS_NICE",     "SYS_RESOURCE", "SYS_TIME",     "SYS_TTY_CONFIG",
    "MKNOD",       "LEASE",        "AUDIT_WRITE",     "AUDIT_CONTROL", "SETFCAP",        "MAC_OVERRIDE", "MAC_ADMIN",   "SYSLOG",        "WAKE_ALARM",
    "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON",         "BPF",           "CHECKPOINT_RESTORE"};

uint64_t capability_bit(std::string_view name) {
    if (name.substr(0, 4) != "CAP_") return 0;
    name.remove_prefix(4);
    for (size_t i = 0; i < std::size(names); ++i)
        if (names[i] == name) return uint64_t{1} << i;
    return 0;
}

std::string capability_name(unsigned number) { return number < std::size(names) ? "CAP_" + std::string(names[number]) : std::string(); }

}  // namespace launcher
