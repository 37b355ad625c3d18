#include "runtime/id_map_trial.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace sg::runtime {
namespace {

struct Pipe {
    UniqueFd reader, writer;
    Pipe() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("cannot make a pipe", "");
        reader = UniqueFd(ends[0]), writer = UniqueFd(ends[1]);
    }
};

int status_of(pid_t child) {
    int status = -1;
    while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

// True: it ended with 0. Otherwise `said` is the first line that it said.
bool run(std::vector<std::string> words, std::string& said) {
    Pipe messages;
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(messages.writer.get(), 1);
        ::dup2(messages.writer.get(), 2);
        std::vector<char*> argv;
        for (auto& w : words) argv.push_back(w.data());
        argv.push_back(nullptr);
        ::execvp(argv[0], argv.data());
        ::dprintf(2, "%s\n", std::strerror(errno));
        ::_exit(127);
    }
    messages.writer.reset();
    said.clear();
    char part[512];
    for (ssize_t n; (n = ::read(messages.reader.get(), part, sizeof part)) > 0 || (n < 0 && errno == EINTR);)
        if (n > 0 && said.size() < sizeof part) said.append(part, static_cast<size_t>(n));
    said.resize(std::min(said.find('\n'), said.size()));
    return status_of(child) == 0;
}

}  // namespace

IdMapTrial try_subordinate_ids(const std::string& newuidmap, const std::string& newgidmap, const SubordinateIds& ids) {
    Pipe ready, end;
    const pid_t child = ::fork();
    if (child < 0) throw_errno("cannot start a process", "");
    if (child == 0) {
        end.writer.reset();
        char byte = 0;
        if (::unshare(CLONE_NEWUSER) == 0 && ::write(ready.writer.get(), "u", 1) == 1)
            (void)!::read(end.reader.get(), &byte, 1);
        ::_exit(0);
    }
    ready.writer.reset();
    IdMapTrial out;
    char byte = 0;
    if (::read(ready.reader.get(), &byte, 1) == 1) {
        const auto maps = [&](const std::string& program, uint32_t own, const SubordinateRange& range) {
            std::string said;
            if (run({program, std::to_string(child), "0", std::to_string(own), "1", "1", std::to_string(range.start),
                     std::to_string(subordinate_count)},
                    said))
                return true;
            out = {program, said};
            return false;
        };
        (void)(maps(newuidmap, ::geteuid(), ids.uids) && maps(newgidmap, ::getegid(), ids.gids));
    }
    end.writer.reset();
    status_of(child);
    return out;
}

Withheld rights_withheld(const std::string& program) {
    if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        return {"this session may gain no rights (no_new_privs)",
                "a session without it: a container, a batch system or a systemd unit (NoNewPrivileges=) has set it"};
    if (::prctl(PR_CAPBSET_READ, CAP_SETUID, 0, 0, 0) != 1 || ::prctl(PR_CAPBSET_READ, CAP_SETGID, 0, 0, 0) != 1)
        return {"this session's capability bounding set lacks cap_setuid or cap_setgid",
                "a session with them: a container, a batch system or a systemd unit (CapabilityBoundingSet=) has taken "
                "them"};
    struct stat st;
    if (::stat(program.c_str(), &st) != 0) return {};
    if (!(st.st_uid == 0 && (st.st_mode & S_ISUID)) &&
        ::getxattr(program.c_str(), "security.capability", nullptr, 0) <= 0)
        return {program + " is neither set-user-id root nor has file capabilities", "chmod u+s " + program};
    struct statvfs fs;
    if (::statvfs(program.c_str(), &fs) == 0 && (fs.f_flag & ST_NOSUID))
        return {program + " lies on a file system that is mounted nosuid", "mount it without nosuid"};
    return {};
}

}  // namespace sg::runtime
