#include "config/home.hpp"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace sg {

Home Home::find() {
    if (const char* home = std::getenv("HOME"); home && *home == '/') return at(home);
    // Only without HOME: the look-up may load name service modules, which takes longer than all the rest.
    std::vector<char> buffer(16384);
    passwd entry{}, *found = nullptr;
    if (getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found && found->pw_dir && *found->pw_dir == '/')
        return at(found->pw_dir);
    return {};
}

Home Home::at(const std::string& path) {
    Home h;
    h.path = path;
    while (h.path.size() > 1 && h.path.back() == '/') h.path.pop_back();
    struct stat st {};
    h.trusted = stat(h.path.c_str(), &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
    h.config = (h.path == "/" ? "" : h.path) + "/.singularity";
    return h;
}

}  // namespace sg
