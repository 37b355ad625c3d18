#include "runtime/id_map_trial.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
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

}  // namespace sg::runtime
