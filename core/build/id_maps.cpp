#include "build/id_maps.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/run_quietly.hpp"
#include "base/unique_fd.hpp"
#include "runtime/id_map_trial.hpp"

namespace sg {

namespace {

constexpr uint32_t needed = 65536;

std::string file_text(const char* path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

bool number(std::string_view text, uint32_t& out) {
    const auto r = std::from_chars(text.data(), text.data() + text.size(), out);
    return r.ec == std::errc() && r.ptr == text.data() + text.size();
}

void write_file(const char* path, const std::string& text) {
    UniqueFd fd(open(path, O_WRONLY | O_CLOEXEC));
    if (!fd || write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) throw_errno("cannot write", path);
}

}  // namespace

std::optional<SubordinateRange> subordinate_range(const std::string& text, const std::string& name, uint32_t uid) {
    std::optional<SubordinateRange> best;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = std::string_view(text).substr(at, end - at);
        at = end + 1;
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string_view::npos || second == std::string_view::npos || line.starts_with('!')) continue;
        const std::string_view who = line.substr(0, first);
        if (who != name && who != std::to_string(uid)) continue;
        SubordinateRange r;
        if (!number(line.substr(first + 1, second - first - 1), r.first) || !number(line.substr(second + 1), r.count)) continue;
        if (r.count < needed || r.first == 0 || UINT32_MAX - r.first < r.count) continue;
        if (r.count == needed) return r;
        if (!best || r.count > best->count) best = r;
    }
    return best;
}

bool map_subordinate_ids(pid_t child) {
    const uid_t uid = geteuid();
    const passwd* entry = getpwuid(uid);
    const std::string name = entry ? entry->pw_name : "";
    const auto uids = subordinate_range(file_text("/etc/subuid"), name, uid);
    const auto gids = subordinate_range(file_text("/etc/subgid"), name, uid);
    if (!uids || !gids) return false;
    const auto words = [&](const char* program, uint32_t own, uint32_t first) -> std::vector<std::string> {
        return {program, std::to_string(child), "0", std::to_string(own), "1", "1", std::to_string(first), std::to_string(needed)};
    };
    // Once one map is written, a failure of the other cannot be mended.
    if (!runtime::try_subordinate_ids("newuidmap", "newgidmap", {{uids->first, uids->count}, {gids->first, gids->count}}).worked()) return false;
    return run_quietly(words("newgidmap", getegid(), gids->first)) && run_quietly(words("newuidmap", uid, uids->first));
}

void map_root_only(uid_t uid, gid_t gid) {
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1\n");
    write_file("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1\n");
}

bool run_as_build_root(const std::function<void()>& work) {
    int ends[2], back[2];
    if (pipe2(ends, O_CLOEXEC) != 0 || pipe2(back, O_CLOEXEC) != 0) throw_errno("cannot make a pipe", "");
    UniqueFd read_end(ends[0]), write_end(ends[1]), answer_read(back[0]), answer_write(back[1]);
    const bool root = geteuid() == 0;
    const uid_t uid = geteuid();
    const gid_t gid = getegid();
    const pid_t child = fork();
    if (child < 0) throw_errno("cannot start a process", "");
    if (child == 0) {
        try {
            if (!root) {
                if (unshare(CLONE_NEWUSER) != 0) throw_errno("cannot create a user namespace", "");
                char mapped = 0;
                if (write(write_end.get(), "u", 1) != 1 || read(answer_read.get(), &mapped, 1) != 1) _exit(255);
                if (mapped == 'n') map_root_only(uid, gid);
                if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) throw_errno("cannot become root of the namespace", "");
            }
            work();
            _exit(0);
        } catch (const Error& e) {
            log::warning(e.message());
        } catch (...) {
        }
        _exit(255);
    }
    if (!root) {
        char wish = 0;
        write_end.reset();  // the child's alone, so that its death is noticed
        if (read(read_end.get(), &wish, 1) == 1) {
            const char answer = map_subordinate_ids(child) ? 'y' : 'n';
            (void)!write(answer_write.get(), &answer, 1);
        }
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool is_machine_root() {
    if (geteuid() != 0) return false;
    unsigned long inside = 1, outside = 1, count = 0;
    const std::string text = file_text("/proc/self/uid_map");
    return std::sscanf(text.c_str(), "%lu %lu %lu", &inside, &outside, &count) == 3 && inside == 0 && outside == 0 && count == 4294967295ul &&
           prctl(PR_CAPBSET_READ, 21 /* CAP_SYS_ADMIN */, 0, 0, 0) == 1;
}

}  // namespace sg
