#include "family/namespaces.hpp"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <linux/capability.h>

#include <optional>

#include "family/id_maps.hpp"
#include "family/system.hpp"

namespace launcher {
namespace {

// The content of a sysctl file as a number, or -1.
long sysctl(const char* path) {
    try {
        return std::stol(read_file(AT_FDCWD, path, 64));
    } catch (...) {
        return -1;
    }
}

// Why the system refused, in the order of how often it is the reason, and who can change it.
std::string user_namespace_hint(int reason) {
    const std::string admin = "an administrator can allow them: ";
    if (sysctl("/proc/sys/kernel/unprivileged_userns_clone") == 0)
        return admin + "sysctl -w kernel.unprivileged_userns_clone=1";
    if (sysctl("/proc/sys/user/max_user_namespaces") == 0) return admin + "sysctl -w user.max_user_namespaces=15000";
    if (sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1)
        return admin + "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for this program with 'userns,'";
    if (reason == ENOSPC) return "the limit user.max_user_namespaces is used up; an administrator can raise it with sysctl";
    if (reason == EPERM)
        return "a chroot, a seccomp filter or a security module around this process forbids them; whoever started that environment can allow them";
    if (reason == EINVAL) return "this kernel has none (CONFIG_USER_NS)";
    return {};
}

void write_text(const char* path, const std::string& text) {
    Fd fd(::open(path, O_WRONLY | O_CLOEXEC));
    if (!fd) fail("cannot open", path);
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) fail("cannot write", path);
}

std::string lines(const std::vector<Mapping>& mappings) {
    std::string out;
    for (const auto& m : mappings)
        out += std::to_string(m.container) + " " + std::to_string(m.host) + " " + std::to_string(m.size) + "\n";
    return out;
}

}  // namespace

void enter_user_namespace(const Spec& spec) {
    std::optional<IdMapper> mapper;
    if (!are_own_ids(spec)) mapper.emplace(spec);
    if (::unshare(CLONE_NEWUSER) != 0) {
        const int reason = errno;
        throw Error(reason == EPERM ? Code::permission : Code::unsupported,
                    "Failed to create user namespace: " + system_error(reason, "user namespaces are not allowed here").message(),
                    machine_hint(user_namespace_hint(reason)));
    }
    if (mapper) return mapper->finish();
    try {
        // Some systems let the namespace be made and refuse the rights in it (AppArmor): the maps fail then.
        write_text("/proc/self/setgroups", "deny");
        write_text("/proc/self/uid_map", lines(spec.uids));
        write_text("/proc/self/gid_map", lines(spec.gids));
    } catch (const Error& e) {
        throw Error(Code::permission, "Failed to create user namespace: " + e.message(), machine_hint(user_namespace_hint(EPERM)));
    }
}

bool maps_only_the_caller(const Spec& spec) {
    const auto only = [](const std::vector<Mapping>& mappings, uint32_t id) {
        return mappings.size() == 1 && mappings[0].container == id && mappings[0].host == id && mappings[0].size == 1;
    };
    return spec.user && only(spec.uids, ::geteuid()) && only(spec.gids, ::getegid());
}

bool can_mount_in_kernel() {
    if (::geteuid() != 0) return false;
    // Root of another user namespace maps only a part of all ids.
    const std::string map = read_file(AT_FDCWD, "/proc/self/uid_map", 4096);
    unsigned long inside = 1, outside = 1, count = 0;
    if (std::sscanf(map.c_str(), "%lu %lu %lu", &inside, &outside, &count) != 3 || inside != 0 || outside != 0 ||
        count != 4294967295ul)
        return false;
    return ::prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1;
}

bool prefers_kernel() { return singularity::Host().text("mount.reader").value_or("auto") != "fuse"; }

bool wants_new_network(const Spec& spec) { return spec.net && spec.network_path.empty() && spec.networks.names.empty(); }

int namespace_flags(const Spec& spec) {
    return CLONE_NEWNS | (spec.ipc ? CLONE_NEWIPC : 0) | (spec.uts ? CLONE_NEWUTS : 0) | (wants_new_network(spec) ? CLONE_NEWNET : 0);
}

void join_network(const Spec& spec) {
    if (spec.network_path.empty()) return;
    Fd network(::open(spec.network_path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!network) fail("cannot open the network namespace", spec.network_path);
    if (::setns(network.get(), CLONE_NEWNET) != 0)
        fail("cannot join the network namespace", spec.network_path, errno == EPERM ? "only root may join a network namespace of the machine" : errno == EINVAL ? "the path is no network namespace" : "");
}

void unshare_rest(int flags) {
    if (::unshare(flags) == 0) return;
    const int reason = errno;
    std::string hint;
    if (reason == ENOSPC) hint = "a limit below /proc/sys/user (max_mnt_namespaces and its kin) is used up; an administrator can raise it with sysctl";
    if (reason == EPERM) hint = "a seccomp filter or a security module around this process forbids namespaces";
    throw system_error(reason, "cannot create the container's namespaces", {}, hint);
}

void bring_up_loopback() {
    Fd s(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!s) return;
    ifreq request{};
    request.ifr_name[0] = 'l', request.ifr_name[1] = 'o';
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    (void)::ioctl(s.get(), SIOCSIFFLAGS, &request);
}

}  // namespace launcher
