#include "hub/builder/cgroups.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <singularity/error.hpp>

namespace hub {

using singularity::Code;
using singularity::Error;

namespace {

// 0 or why not. A control file takes what one write(2) brings.
int put(const std::string& file, const std::string& value) {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    const int error = ::write(fd, value.data(), value.size()) < 0 ? errno : 0;
    ::close(fd);
    return error;
}

}  // namespace

std::string BuildGroups::own_group() {
    struct statfs s {};
    if (::statfs("/sys/fs/cgroup", &s) != 0 || s.f_type != CGROUP2_SUPER_MAGIC) return {};
    std::ifstream in("/proc/self/cgroup");
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("0::/")) return "/sys/fs/cgroup" + line.substr(3);
    return {};
}

std::unique_ptr<BuildGroups> BuildGroups::make(const std::string& group, std::string& why) {
    if (group.empty()) {
        why = "there are no control groups of version 2 alone";
        return nullptr;
    }
    const std::string own = group + "/hub";
    if (::mkdir(own.c_str(), 0755) != 0 && errno != EEXIST) {
        why = "cannot make '" + own + "': " + std::strerror(errno);
        return nullptr;
    }
    // 0: the process that writes.
    for (const auto& [file, value] : {std::pair<std::string, const char*>{own + "/cgroup.procs", "0"},
                                      {group + "/cgroup.subtree_control", "+memory +pids +cpu"}})
        if (const int error = put(file, value)) {
            why = "cannot write '" + std::string(value) + "' to '" + file + "': " + std::strerror(error);
            return nullptr;
        }
    return std::unique_ptr<BuildGroups>(new BuildGroups(group));
}

std::string BuildGroups::add(const std::string& id, const BuilderOptions& options) const {
    const std::string group = group_ + "/build-" + id;
    if (::mkdir(group.c_str(), 0755) != 0 && errno != EEXIST)
        throw Error(Code::io, "cannot make the control group '" + group + "': " + std::strerror(errno));
    const std::string most = std::to_string(options.memory);
    struct Limit {
        const char* file;
        std::string value;
        bool needed;
    };
    // The hub's own part of a build (shells, slirp4netns) counts in.
    for (const auto& limit :
         {Limit{"memory.max", most, true}, Limit{"memory.swap.max", "0", false}, Limit{"memory.oom.group", "1", false},
          Limit{"pids.max", std::to_string(options.processes + 64), true},
          Limit{"cpu.max", std::to_string(options.cpus * 100000) + " 100000", true}}) {
        const int error = put(group + "/" + limit.file, limit.value);
        if (error != 0 && limit.needed) {
            remove(id);
            throw Error(Code::io, std::string("cannot set ") + limit.file + " of the control group '" + group +
                                      "': " + std::strerror(error));
        }
    }
    return group;
}

void BuildGroups::remove(const std::string& id) const {
    const std::string group = group_ + "/build-" + id;
    (void)put(group + "/cgroup.kill", "1");
    // Those who were killed leave it in their own time.
    for (int i = 0; i < 50 && ::rmdir(group.c_str()) != 0 && errno == EBUSY; ++i) ::usleep(20000);
}

}  // namespace hub
