#include "config/installation.hpp"

#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>

#include "base/error.hpp"

// Directory of libraries below the prefix, as CMAKE_INSTALL_LIBDIR.
#ifndef SG_LIBDIR
#define SG_LIBDIR "lib"
#endif

namespace sg {

static std::string parent(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

Installation Installation::find() {
    char path[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    if (n > 0 && static_cast<size_t>(n) < sizeof path) return at(std::string(path, static_cast<size_t>(n)));
    const int error = errno;
    // A root file system in which packages are being installed may have no /proc: then as execve was told.
    const auto* told = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
    if (told && realpath(told, path)) return at(path);
    throw system_error(error, "cannot find the program's own path in", "/proc/self/exe");
}

Installation Installation::at(const std::string& executable) {
    Installation i;
    i.executable = executable;
    i.prefix = parent(parent(executable));
    const std::string base = i.prefix == "/" ? "" : i.prefix;
    const bool build_tree = access((base + "/CMakeCache.txt").c_str(), F_OK) == 0;
    // The GNU rule: what is installed below /usr is configured in /etc.
    i.conf_dir = (base == "/usr" ? std::string() : base) + "/etc/singularity";
    i.plugin_dir = build_tree ? base + "/plugins" : base + "/" SG_LIBDIR "/singularity/plugins";
    i.module = base + "/libexec/singularity/build.so";
    i.lookup = base + "/libexec/singularity/lookup.so";
    i.site_index = build_tree ? base + "/index" : base + "/" SG_LIBDIR "/singularity/index";
    struct stat st {};
    if (stat(executable.c_str(), &st) == 0) i.owner = st.st_uid;
    return i;
}

}  // namespace sg
