#include "store/owner.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "base/unique_fd.hpp"

namespace sg {

namespace {

constexpr size_t kShort = 8;  // "unknown" has one less

std::string small_file(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char buffer[1024];
    const ssize_t n = fd ? read(fd.get(), buffer, sizeof buffer) : -1;
    return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : std::string();
}

// Field 22 of /proc/PID/stat (proc(5)); 0 when there is no such process or only its zombie.
unsigned long long start_of(int pid) {
    const std::string text = small_file("/proc/" + std::to_string(pid) + "/stat");
    const auto name_end = text.rfind(')');  // the name may hold blanks and brackets
    if (name_end == std::string::npos || name_end + 2 >= text.size()) return 0;
    const char state = text[name_end + 2];
    if (state == 'Z' || state == 'X') return 0;
    size_t at = name_end + 2;
    for (int field = 3; field < 22; ++field) {
        at = text.find(' ', at);
        if (at == std::string::npos) return 0;
        ++at;
    }
    return std::strtoull(text.c_str() + at, nullptr, 10);
}

Owner find_self() {
    Owner o;
    o.boot = small_file("/proc/sys/kernel/random/boot_id").substr(0, 36);
    if (o.boot.empty()) o.boot = "unknown";
    struct stat st {};
    if (stat("/proc/self/ns/pid", &st) == 0) o.pid_namespace = st.st_ino;
    o.pid = getpid();
    o.start = start_of(o.pid);
    return o;
}

}  // namespace

const Owner& Owner::self() {
    static Owner owner = find_self();
    if (owner.pid != getpid()) owner = find_self();  // after fork(2)
    return owner;
}

std::string Owner::text() const {
    return boot + "." + std::to_string(pid_namespace) + "." + std::to_string(pid) + "." + std::to_string(start);
}

std::optional<Owner> Owner::parse(std::string_view text) {
    Owner o;
    char boot[40] = {};
    int used = 0;
    const std::string copy(text);
    if (std::sscanf(copy.c_str(), "%39[0-9a-z-].%llu.%d.%llu%n", boot, &o.pid_namespace, &o.pid, &o.start, &used) !=
            4 ||
        static_cast<size_t>(used) != copy.size() || o.pid <= 0)
        return std::nullopt;
    o.boot = boot;
    return o;
}

std::string Owner::short_text() const {
    Owner o = *this;
    o.boot = o.boot.substr(0, kShort);
    return o.text();
}

bool Owner::same_host() const { return boot.size() >= kShort && self().boot.compare(0, boot.size(), boot) == 0; }

Owner::State Owner::state() const {
    if (!same_host() || pid_namespace != self().pid_namespace) return State::unknown;
    const auto now = start_of(pid);
    return now != 0 && now == start ? State::alive : State::dead;
}

}  // namespace sg
