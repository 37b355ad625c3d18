#include "base/cores.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/unique_fd.hpp"

namespace sg {

static std::string first_bytes(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return {};
    char buffer[4096];
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : std::string();
}

// "QUOTA PERIOD" or "max PERIOD" (kernel documentation, cgroup-v2, "cpu.max").
static unsigned quota_of(const std::string& cpu_max) {
    char* end = nullptr;
    const unsigned long long quota = std::strtoull(cpu_max.c_str(), &end, 10);
    if (end == cpu_max.c_str() || *end != ' ') return 0;
    const unsigned long long period = std::strtoull(end + 1, nullptr, 10);
    return period == 0 ? 0 : static_cast<unsigned>(std::clamp<unsigned long long>((quota + period - 1) / period, 1, 65536));
}

unsigned usable_cores() {
    unsigned cores = 1;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        cores = static_cast<unsigned>(CPU_COUNT(&set));
    else if (const long n = sysconf(_SC_NPROCESSORS_ONLN); n > 0)
        cores = static_cast<unsigned>(n);
    const std::string groups = first_bytes("/proc/self/cgroup");
    const size_t own = groups.find("0::/");
    if (own != std::string::npos) {
        std::string path = groups.substr(own + 3, groups.find('\n', own) - own - 3);
        for (;; path.resize(path.rfind('/'))) {  // a limit of any group above counts too
            if (const unsigned quota = quota_of(first_bytes("/sys/fs/cgroup" + path + "/cpu.max"))) cores = std::min(cores, quota);
            if (path.empty() || path == "/") break;
        }
    }
    return std::max(cores, 1u);
}

}  // namespace sg
