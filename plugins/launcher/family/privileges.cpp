#include "family/privileges.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstring>

namespace launcher {
namespace {

const singularity::Host host;

// Those that the kernel has and that this process may use.
uint64_t permitted() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    if (::syscall(SYS_capget, &header, data) != 0) fail("cannot read capabilities");
    return data[0].permitted | static_cast<uint64_t>(data[1].permitted) << 32;
}

void set_capabilities(uint64_t wanted) {
    const uint64_t have = permitted();
    if (wanted & ~have) host.debug("capabilities that are not permitted here are left out");
    const uint64_t set = wanted & have;
    // The bounding set first: afterwards nothing allows it. The kernel ends the list with EINVAL.
    for (int cap = 0; cap < 64; ++cap)
        if (!(set >> cap & 1) && ::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno == EINVAL) break;
    (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    for (int half = 0; half < 2; ++half)
        data[half].effective = data[half].permitted = data[half].inheritable = static_cast<uint32_t>(set >> (32 * half));
    if (::syscall(SYS_capset, &header, data) != 0) fail("cannot set capabilities");
    for (int cap = 0; cap < 64; ++cap)
        if (set >> cap & 1) (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
}

// Root becomes somebody else; whoever has a user namespace is it by its mapping.
void become_user(const Spec& spec) {
    if (spec.user || !spec.change_user) return;
    if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) fail("cannot keep capabilities");
    if (::setgroups(spec.process_groups.size(), spec.process_groups.data()) != 0) fail("cannot set the groups");
    if (::setresgid(spec.process_gid, spec.process_gid, spec.process_gid) != 0) fail("cannot become the group", std::to_string(spec.process_gid));
    if (::setresuid(spec.process_uid, spec.process_uid, spec.process_uid) != 0) fail("cannot become the user", std::to_string(spec.process_uid));
}

void write_label(int proc, const char* file, const std::string& text, const std::string& what) {
    Fd fd(::openat(proc, file, O_WRONLY | O_CLOEXEC));
    if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) fail("cannot set the " + what, text);
}

}  // namespace

void Privileges::prepare(const Spec& spec) {
    if (!spec.seccomp.empty()) filter_.build(spec.seccomp);
    if (spec.apparmor.empty() && spec.selinux.empty()) return;
    if (!spec.apparmor.empty() && ::access("/sys/kernel/security/apparmor", F_OK) != 0 && ::access("/sys/module/apparmor", F_OK) != 0)
        throw Error(Code::unsupported, "--security apparmor:" + spec.apparmor + ": this kernel has no AppArmor, or it is switched off");
    if (!spec.selinux.empty() && ::access("/sys/fs/selinux/enforce", F_OK) != 0)
        throw Error(Code::unsupported, "--security selinux:" + spec.selinux + ": this kernel has no SELinux, or it is switched off");
    proc_ = Fd(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!proc_) fail("cannot open", "/proc");
}

void Privileges::apply(const Spec& spec) {
    if (!spec.apparmor.empty()) write_label(proc_.get(), "self/attr/exec", "exec " + spec.apparmor, "AppArmor profile");
    if (!spec.selinux.empty()) write_label(proc_.get(), "self/attr/exec", spec.selinux, "SELinux label");
    proc_.reset();
    // Without no_new_privs a filter needs CAP_SYS_ADMIN: it comes before the capabilities then.
    if (!spec.no_new_privileges) filter_.apply();
    become_user(spec);
    if (spec.set_capabilities) set_capabilities(spec.capabilities);
    if (spec.no_new_privileges) {
        if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("cannot set no_new_privs");
        filter_.apply();
    }
}

}  // namespace launcher
