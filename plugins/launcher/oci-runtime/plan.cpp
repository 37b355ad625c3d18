#include "plan.hpp"

#include <dlfcn.h>
#include <sys/random.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "members.hpp"

namespace oci_runtime {
namespace {

using launcher::fail;
using launcher::Spec;
using singularity::Code;
using singularity::Error;

const singularity::Host host;

constexpr const char* usual_place = "/.singularity.d/oci-runtime-init";
constexpr int most_inherited = 200;

// Beside this object.
std::string first_program() {
    Dl_info info{};
    if (::dladdr(reinterpret_cast<const void*>(&first_program), &info) == 0 || !info.dli_fname)
        throw Error(Code::internal, "cannot find the folder of the plugin oci-runtime");
    const std::string object = info.dli_fname, path = object.substr(0, object.rfind('/') + 1) + "oci-runtime-init";
    if (::access(path.c_str(), X_OK) != 0) fail("the plugin oci-runtime is not complete: cannot use", path);
    return path;
}

std::string new_id() {
    unsigned char bytes[8] = {};
    (void)!::getrandom(bytes, sizeof bytes, 0);
    std::string out = "singularity-";
    for (const unsigned char b : bytes) {
        out += "0123456789abcdef"[b >> 4];
        out += "0123456789abcdef"[b & 15];
    }
    return out;
}

// Those that an exec would hand on, too (an MPI launcher's, say).
std::vector<int> inherited_descriptors() {
    std::vector<int> out;
    for (int fd = 3; fd < most_inherited; ++fd) {
        const int flags = ::fcntl(fd, F_GETFD);
        if (flags < 0 || (flags & FD_CLOEXEC)) continue;
        out.resize(static_cast<size_t>(fd - 3), -1);
        out.push_back(fd);
    }
    return out;
}

// A place in a tree where nothing can be made must be a file that is there.
std::string place_of_first(const Spec& spec) {
    if (spec.layer != "none" || spec.images[0].type != "bind") return usual_place;
    for (const std::string& place : {std::string(usual_place), "/.singularity.d/actions/" + spec.action,
                                     std::string("/.singularity.d/runscript")}) {
        struct stat s;
        if (::lstat((spec.images[0].path + place).c_str(), &s) == 0 && S_ISREG(s.st_mode)) return place;
    }
    return usual_place;
}

}  // namespace

Plan plan_launch(const sg_launch& launch) {
    Plan out;
    out.document = launch.spec ? launch.spec : "";
    check_members(out.document);
    out.spec = launcher::parse_spec(out.document);
    out.runtime = find_runtime(host.text("launcher.oci-runtime.runtime").value_or("auto"));
    out.id = new_id();
    out.first_program = first_program();
    out.first_place = place_of_first(out.spec);
    out.inherited = inherited_descriptors();
    return out;
}

std::vector<std::string> group_directories(pid_t pid, const std::string& id) {
    std::vector<std::string> paths;
    std::ifstream groups("/proc/" + std::to_string(pid) + "/cgroup");
    for (std::string line; std::getline(groups, line);)  // "4:memory:/a/b"
        if (const size_t at = line.find(":/"); at != std::string::npos && line.find("/" + id) != std::string::npos)
            paths.push_back(line.substr(at + 1));
    return group_directories(paths);
}

}  // namespace oci_runtime
