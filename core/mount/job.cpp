#include "mount/job.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/unique_fd.hpp"

namespace sg {

namespace {

constexpr std::string_view htcondor = "_CONDOR_ANCESTOR_";
constexpr size_t most_groups = 64 << 10;  // bytes of /proc/self/cgroup

std::string control_groups() {
    std::string text;
    const UniqueFd file(open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC));
    char part[4096];
    for (ssize_t n; file && text.size() < most_groups && (n = read(file.get(), part, sizeof part)) != 0;) {
        if (n < 0 && errno != EINTR) break;
        if (n > 0) text.append(part, static_cast<size_t>(n));
    }
    return job_of_groups(text);
}

std::string supplementary_groups() {
    std::vector<gid_t> groups(static_cast<size_t>(std::max(0, getgroups(0, nullptr))));
    const int n = getgroups(static_cast<int>(groups.size()), groups.data());
    std::string out;
    for (int i = 0; i < n; ++i) out += std::to_string(groups[static_cast<size_t>(i)]) + " ";
    return out;
}

std::string variables() {
    std::string out;
    for (char** v = environ; v && *v; ++v)
        if (std::string_view(*v).starts_with(htcondor)) out.append(*v).push_back('\n');
    return out;
}

}  // namespace

std::string job_of_groups(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        const size_t last = line.rfind("/task_");
        if (last != line.npos && last + 6 < line.size() && line.find_first_not_of("0123456789", last + 6) == line.npos)
            line = line.substr(0, last);
        out.append(line).push_back('\n');
    }
    return out;
}

const std::string& job_of_caller() {
    static const std::string job = control_groups() + supplementary_groups() + '\n' + variables();
    return job;
}

}  // namespace sg
