#include "runtime/fakeroot.hpp"

#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "runtime/subordinate_ids.hpp"

namespace sg::runtime {
namespace {

bool is_program(const std::string& path) {
    struct stat s;
    return ::stat(path.c_str(), &s) == 0 && S_ISREG(s.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::string find_program(const std::string& name) {
    for (const char* directory : {"/usr/bin/", "/bin/", "/usr/local/bin/", "/usr/sbin/", "/sbin/"})
        if (is_program(directory + name)) return directory + name;
    return {};
}

// Debian's and Red Hat's places.
std::string find_library() {
    for (const char* pattern : {"/usr/lib/*/libfakeroot/libfakeroot-sysv.so", "/usr/lib64/libfakeroot/libfakeroot.so", "/usr/lib/libfakeroot/libfakeroot.so",
                                "/usr/lib/libfakeroot/libfakeroot-sysv.so"}) {
        glob_t found{};
        std::string out;
        if (::glob(pattern, 0, nullptr, &found) == 0 && found.gl_pathc > 0) out = found.gl_pathv[0];
        ::globfree(&found);
        if (!out.empty()) return out;
    }
    return {};
}

}  // namespace

Fakeroot choose_fakeroot(const User& user, const FakerootChoice& choice) {
    Fakeroot out;
    out.uids = {{0, user.uid, 1}};
    out.gids = {{0, user.gid, 1}};
    if (choice.use_subordinate_ids) {
        const auto ids = subordinate_ids(user.name, user.uid);
        const bool programs = !find_program("newuidmap").empty() && !find_program("newgidmap").empty();
        if (ids && (programs || user.uid == 0)) {
            out.uids.push_back({1, ids->uids.start, subordinate_count});
            out.gids.push_back({1, ids->gids.start, subordinate_count});
            return out;
        }
        out.note = ids ? "The programs newuidmap and newgidmap are not here, trying root-mapped namespace"
                       : "User " + user.name + " not listed in /etc/subuid and /etc/subgid, trying root-mapped namespace";
    }
    if (!choice.use_command) return out;
    // The script is started by the name that it has there, the two others are given to it.
    const std::string command = find_program("fakeroot-sysv").empty() ? find_program("fakeroot") : find_program("fakeroot-sysv");
    const std::string daemon = find_program("faked-sysv").empty() ? find_program("faked") : find_program("faked-sysv");
    const std::string library = find_library();
    if (command.empty() || daemon.empty() || library.empty()) return out;
    out.command = command, out.daemon = daemon, out.library = library;
    return out;
}

}  // namespace sg::runtime
