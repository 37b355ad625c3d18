#include "base/seccomp_notification.hpp"

#include <dlfcn.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace sg {

std::string no_seccomp_notification() {
    uint32_t action = SECCOMP_RET_USER_NOTIF;
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0)
        return "the kernel, or a filter of whoever started this environment, offers no seccomp user notification (" +
               std::string(std::strerror(errno)) + "; Linux 5.9 has it)";
    // It is the launcher's, who says so only when the build stands.
    void* const library = dlopen("libseccomp.so.2", RTLD_LAZY | RTLD_LOCAL);
    if (!library) return "the library libseccomp is not here (apt-get install libseccomp2, dnf install libseccomp)";
    dlclose(library);
    return {};
}

}  // namespace sg
