// singularity instance stats: what an instance takes of the machine, added up over its processes, and how much memory
// its control groups allow.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "cli/instance_verbs.hpp"
#include "cli/json_writer.hpp"
#include "cli/print.hpp"
#include "cli/tabs.hpp"

namespace sg {

namespace {

std::string read_small(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char buffer[65536];
    const ssize_t n = fd ? ::read(fd.get(), buffer, sizeof buffer) : -1;
    return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : std::string();
}

// The number behind `key` in lines of "key number" or "key: number".
uint64_t number_after(const std::string& text, const std::string& key) {
    for (size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
        if (at != 0 && text[at - 1] != '\n') continue;
        size_t from = at + key.size();
        while (from < text.size() && (text[from] == ':' || text[from] == ' ' || text[from] == '\t')) ++from;
        return std::strtoull(text.c_str() + from, nullptr, 10);
    }
    return 0;
}

struct Usage {
    double cpu_seconds = 0;
    uint64_t memory = 0, read = 0, written = 0, processes = 0;  // bytes, count
};

// The instance's processes: those of its PID namespace, else its first one and what descends from it.
bool belongs(const std::string& pid, ino_t pid_namespace) {
    struct stat s;
    return ::stat(("/proc/" + pid + "/ns/pid").c_str(), &s) == 0 && s.st_ino == pid_namespace;
}

void add_process(const std::string& pid, Usage& u) {
    const std::string top = "/proc/" + pid;
    const std::string stat = read_small(top + "/stat");
    const size_t end = stat.rfind(')');
    unsigned long user = 0, system = 0;
    if (end == std::string::npos ||
        std::sscanf(stat.c_str() + end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return;
    u.cpu_seconds += static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
    // Pages that several processes share are counted once, where the kernel tells their shares.
    const std::string shares = read_small(top + "/smaps_rollup");
    u.memory += (shares.empty() ? number_after(read_small(top + "/status"), "VmRSS") : number_after(shares, "Pss")) * 1024;
    const std::string io = read_small(top + "/io");
    u.read += number_after(io, "read_bytes");
    u.written += number_after(io, "write_bytes");
    ++u.processes;
}

Usage usage_of(const runtime::Instance& instance) {
    Usage u;
    const std::string first = std::to_string(instance.pid);
    struct stat own, theirs;
    const bool separate = ::stat("/proc/self/ns/pid", &own) == 0 && ::stat(("/proc/" + first + "/ns/pid").c_str(), &theirs) == 0 && own.st_ino != theirs.st_ino;
    if (!separate) {
        add_process(first, u);
        return u;
    }
    if (DIR* dir = ::opendir("/proc")) {
        while (const dirent* e = ::readdir(dir))
            if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && belongs(e->d_name, theirs.st_ino)) add_process(e->d_name, u);
        ::closedir(dir);
    }
    return u;
}

// In bytes: the least that the groups of a process and those above them allow; UINT64_MAX where none does. cgroups(7):
// a line "0::PATH" is of version 2, "NUMBER:CONTROLLERS:PATH" of version 1.
uint64_t allowed_memory(pid_t pid) {
    uint64_t least = UINT64_MAX;
    std::istringstream groups(read_small("/proc/" + std::to_string(pid) + "/cgroup"));
    for (std::string line; std::getline(groups, line);) {
        const size_t one = line.find(':'), two = line.find(':', one + 1);
        if (one == std::string::npos || two == std::string::npos) continue;
        const std::string controllers = "," + line.substr(one + 1, two - one - 1) + ",";
        const bool v2 = controllers == ",,";
        if (!v2 && controllers.find(",memory,") == std::string::npos) continue;
        const std::string top = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory",
                          file = v2 ? "/memory.max" : "/memory.limit_in_bytes";
        for (std::string group = line.substr(two + 1); !group.empty(); group.erase(group.rfind('/'))) {
            const std::string text = read_small(top + group + file);
            if (!text.empty() && text[0] >= '0' && text[0] <= '9')
                least = std::min<uint64_t>(least, std::strtoull(text.c_str(), nullptr, 10));
            if (group[0] != '/') break;
        }
    }
    return least;
}

// "12.5MiB", as container engines print sizes.
std::string size_text(double bytes) {
    const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit < 5; ++unit) bytes /= 1024;
    char text[64];
    std::snprintf(text, sizeof text, "%.4g%s", bytes, units[unit]);
    return text;
}

std::string percent(double share) {
    char text[64];
    std::snprintf(text, sizeof text, "%.2f%%", share * 100);
    return text;
}

double seconds() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

}  // namespace

int show_instance_stats(const StatsOptions& o, Session& session) {
    const auto found = need_instances(session, instances_of(o.user), o.name);
    if (found.size() != 1) throw Error(Code::usage, "instance stats: " + std::to_string(found.size()) + " instances fit " + o.name, "name one of them");
    runtime::Instance instance = found.front();
    if (!instance_runs(session, instance) || instance.pid <= 0) throw Error(Code::not_found, "the instance " + instance.name + " cannot be seen from here");
    const bool json = o.json || session.json;
    if (!json) log::info("Stats for " + instance.name + " instance of " + instance.image + " (PID=" + std::to_string(instance.pid) + ")");
    struct sysinfo machine {};
    ::sysinfo(&machine);
    const auto limit = static_cast<double>(
        std::min<uint64_t>(uint64_t{machine.totalram} * machine.mem_unit, allowed_memory(instance.pid)));
    Usage before = usage_of(instance);
    double time_before = seconds();
    for (;;) {
        ::poll(nullptr, 0, 1000);  // what the share of a processor is taken over
        if (!instance_runs(session, instance)) return 0;
        const Usage now = usage_of(instance);
        const double time_now = seconds(), share = std::max(0.0, now.cpu_seconds - before.cpu_seconds) /
                                                   (time_now - time_before);  // less: a process ended
        if (json) {
            JsonWriter w;
            w.begin_object();
            w.member("instance", instance.name);
            w.key("pid"), w.integer(instance.pid);
            w.key("cpuPercent"), w.real(share * 100);
            w.key("cpuSeconds"), w.real(now.cpu_seconds);
            w.key("memoryBytes"), w.integer(static_cast<int64_t>(now.memory));
            w.key("memoryLimitBytes"), w.integer(static_cast<int64_t>(limit));
            w.key("readBytes"), w.integer(static_cast<int64_t>(now.read));
            w.key("writtenBytes"), w.integer(static_cast<int64_t>(now.written));
            w.key("processes"), w.integer(static_cast<int64_t>(now.processes));
            w.end_object();
            print(w.take());
            return 0;
        }
        const auto memory = static_cast<double>(now.memory);
        print((o.once ? "" : "\x1b[2J\x1b[1;1H") +
              in_columns({{"INSTANCE NAME", "CPU USAGE", "MEM USAGE / LIMIT", "MEM %", "BLOCK I/O", "PIDS"},
                          {instance.name, percent(share), size_text(memory) + " / " + size_text(limit), percent(limit > 0 ? memory / limit : 0),
                           size_text(static_cast<double>(now.read)) + " / " + size_text(static_cast<double>(now.written)), std::to_string(now.processes)}}));
        if (o.once) return 0;
        before = now;
        time_before = time_now;
    }
}

}  // namespace sg
