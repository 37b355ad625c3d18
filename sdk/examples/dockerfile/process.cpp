#include "process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace dockerfile {

using singularity::Code;
using singularity::Error;
using singularity::Host;

namespace {

pid_t start(const std::vector<std::string>& words, const std::string& temporary) {
    std::vector<char*> argv;
    for (const std::string& w : words) argv.push_back(const_cast<char*>(w.c_str()));
    argv.push_back(nullptr);
    std::string directory = "TMPDIR=" + temporary;
    std::vector<char*> variables{directory.data()};
    for (char** v = environ; *v; ++v)
        if (!std::string_view(*v).starts_with("TMPDIR=")) variables.push_back(*v);
    variables.push_back(nullptr);

    // The host has threads: posix_spawn, and not fork, runs nothing of ours in the child.
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    posix_spawnattr_t how;
    ::posix_spawnattr_init(&how);
    // A group of its own, so that it can be ended as a whole; and no signal blocked or ignored that the host does not
    // want.
    sigset_t none, usual;
    ::sigemptyset(&none);
    ::sigemptyset(&usual);
    for (const int s : {SIGINT, SIGTERM, SIGQUIT, SIGPIPE, SIGCHLD}) ::sigaddset(&usual, s);
    ::posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    ::posix_spawnattr_setpgroup(&how, 0);
    ::posix_spawnattr_setsigmask(&how, &none);
    ::posix_spawnattr_setsigdefault(&how, &usual);
    pid_t child = -1;
    const int why = ::posix_spawnp(&child, argv[0], &files, &how, argv.data(), variables.data());
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&how);
    if (why != 0) throw Error(Code::io, "cannot start " + words[0] + ": " + std::strerror(why)).because(why);
    return child;
}

int wait_for(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return status;
}

}  // namespace

void run(const std::vector<std::string>& words, const std::string& temporary, const Host& host) {
    const pid_t child = start(words, temporary);
    // Both its end and a cancel wake us: nothing is polled at intervals.
    const int end = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
    pollfd fds[] = {{end, POLLIN, 0}, {host.cancel_fd(), POLLIN, 0}};
    while (end >= 0 && ::poll(fds, 2, -1) < 0 && errno == EINTR) continue;
    if (host.cancelled()) {
        ::kill(-child, SIGTERM);  // it may take its mounts away
        if (end < 0 || ::poll(fds, 1, 80) <= 0) ::kill(-child, SIGKILL);
    }
    const int status = wait_for(child);
    if (end >= 0) ::close(end);
    host.poll();
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    const std::string name = words[0].substr(words[0].rfind('/') + 1);
    throw Error(Code::io,
                name + (WIFSIGNALED(status) ? " was ended by signal " + std::to_string(WTERMSIG(status))
                                            : " failed with status " + std::to_string(WEXITSTATUS(status))),
                "The lines above are its own.");
}

}  // namespace dockerfile
