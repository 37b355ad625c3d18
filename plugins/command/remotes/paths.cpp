#include "remotes/paths.hpp"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

namespace remotes {

namespace {

std::string home() {
    if (const char* h = std::getenv("HOME"); h && *h == '/') return h;
    const passwd* p = ::getpwuid(::geteuid());
    return p && p->pw_dir && *p->pw_dir == '/' ? p->pw_dir : "";
}

std::string parent(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
}

}  // namespace

Paths Paths::at(const std::string& home, const std::string& program) {
    Paths p;
    if (!home.empty()) {
        const std::string base = home == "/" ? "" : home;
        p.user = base + "/.singularity/remote.yaml";
        p.old_token = base + "/.singularity/sylabs-token";
        const std::string other = base + "/.apptainer/remote.yaml";
        if (::access(p.user.c_str(), F_OK) != 0 && ::access(other.c_str(), F_OK) == 0) p.user = other;
        struct stat st {};
        p.foreign_home = ::stat(home.c_str(), &st) == 0 && st.st_uid != ::geteuid();
    }
    // PREFIX/bin/singularity is configured in PREFIX/etc, and what is below /usr in /etc.
    const std::string prefix = parent(parent(program));
    p.system = (prefix == "/usr" ? "" : prefix) + "/etc/singularity/remote.yaml";
    return p;
}

Paths Paths::find() {
    char program[PATH_MAX] = "";
    const ssize_t n = ::readlink("/proc/self/exe", program, sizeof program);
    return at(home(), n > 0 && static_cast<size_t>(n) < sizeof program ? std::string(program, static_cast<size_t>(n))
                                                                       : "/usr/bin/singularity");
}

}  // namespace remotes
