#include "privileges.hpp"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstring>

#include "system.hpp"

namespace native {

void limit_privileges(const Spec& spec) {
    if (spec.drop_capabilities) {
        // The bounding set first: afterwards nothing allows it. The kernel ends the list with EINVAL.
        for (int cap = 0; ::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; ++cap) {
        }
        (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        __user_cap_data_struct none[2];
        std::memset(none, 0, sizeof none);
        if (::syscall(SYS_capset, &header, none) != 0) fail("cannot give up capabilities");
    }
    if (spec.no_new_privileges && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("cannot set no_new_privs");
}

}  // namespace native
