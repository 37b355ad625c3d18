#include "runtime/fakeroot.hpp"

#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "runtime/id_map_trial.hpp"

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

// "": they can be. To try takes longer than all else of a start, so that it is done only where something looks wrong.
std::string why_not_mapped(const SubordinateIds& ids, const User& user) {
    if (user.uid == 0) return {};  // root writes the maps itself
    const std::string uid_program = find_program("newuidmap"), gid_program = find_program("newgidmap");
    if (uid_program.empty() || gid_program.empty())
        return "The " + std::string(!uid_program.empty() ? "program newgidmap is" : !gid_program.empty() ? "program newuidmap is" : "programs newuidmap and newgidmap are") + " not here";
    if (rights_withheld(uid_program).why.empty() && rights_withheld(gid_program).why.empty()) return {};
    const IdMapTrial trial = try_subordinate_ids(uid_program, gid_program, ids);
    if (trial.worked()) return {};
    return "The ids of /etc/subuid and /etc/subgid cannot be mapped (" + (trial.said.empty() ? trial.program + " fails" : trial.said) + "; see: singularity doctor)";
}

}  // namespace

Fakeroot choose_fakeroot(const User& user, const FakerootChoice& choice) {
    Fakeroot out;
    out.uids = {{0, user.uid, 1}};
    out.gids = {{0, user.gid, 1}};
    if (choice.use_subordinate_ids) {
        const auto ids = subordinate_ids(user.name, user.uid);
        const std::string why = ids ? why_not_mapped(*ids, user) : "User " + user.name + " not listed in /etc/subuid and /etc/subgid";
        if (why.empty()) {
            out.uids.push_back({1, ids->uids.start, subordinate_count});
            out.gids.push_back({1, ids->gids.start, subordinate_count});
            return out;
        }
        out.note = why + ", trying root-mapped namespace";
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
