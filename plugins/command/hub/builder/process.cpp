#include "hub/builder/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <singularity/error.hpp>

namespace hub {

using singularity::Code;
using singularity::Error;

namespace {

// `out`, `in` < 0: /dev/null.
pid_t spawn(const std::vector<std::string>& words, int out, int in = -1) {
    std::vector<char*> argv;
    for (const auto& w : words) argv.push_back(const_cast<char*>(w.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
    if (in < 0)
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    else
        posix_spawn_file_actions_adddup2(&files, in, 0);
    if (out < 0)
        posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    else
        posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);  // the hub ignores SIGPIPE
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    pid_t pid = -1;
    const int error = ::posix_spawnp(&pid, argv[0], &files, &how, argv.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    if (error != 0) throw Error(Code::io, "cannot start '" + words[0] + "': " + std::strerror(error)).because(error);
    return pid;
}

}  // namespace

pid_t start_program(const std::vector<std::string>& words) { return spawn(words, -1); }

Fed start_fed_program(const std::vector<std::string>& words) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        throw Error(Code::io, std::string("cannot make a pipe: ") + std::strerror(errno));
    const File theirs(ends[0]);
    File ours(ends[1]);
    const pid_t pid = spawn(words, -1, theirs.fd());
    return {pid, std::move(ours)};
}

Ran run_program(const std::vector<std::string>& words, int seconds) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        throw Error(Code::io, std::string("cannot make a pipe: ") + std::strerror(errno));
    pid_t pid = -1;
    try {
        pid = spawn(words, ends[1]);
    } catch (...) {
        ::close(ends[0]);
        ::close(ends[1]);
        throw;
    }
    ::close(ends[1]);
    Ran ran;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    bool late = false;
    for (char buffer[4096];;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
        pollfd p{ends[0], POLLIN, 0};
        const int ready = left > 0 ? ::poll(&p, 1, static_cast<int>(left)) : 0;
        if (ready < 0 && errno == EINTR) continue;
        late = ready == 0;
        const ssize_t n = late ? 0 : ::read(ends[0], buffer, sizeof buffer);
        if (n <= 0) break;
        if (ran.out.size() < 64 << 10) ran.out.append(buffer, static_cast<size_t>(n));
    }
    ::close(ends[0]);
    if (late) ::kill(-pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    ran.status = late ? 124 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ran;
}

}  // namespace hub
