#include "build/host_script.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/call.hpp"
#include "base/error.hpp"
#include "build/recipe_sections.hpp"

namespace sg {

void run_host_script(const definition::Text& text, const definition::Section& section, const std::string& file, const std::string& directory,
                     const sg_call* call) {
    {
        const UniqueFd fd(open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700));
        const std::string body = section.body();
        if (!fd || write(fd.get(), body.data(), body.size()) != static_cast<ssize_t>(body.size())) throw_errno("cannot write", file);
    }
    std::vector<std::string> words = script_command(text, section, file);
    const pid_t child = fork();
    if (child < 0) throw_errno("cannot start", words[0]);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        umask(0002);
        std::vector<char*> argv;
        for (auto& w : words) argv.push_back(w.data());
        argv.push_back(nullptr);
        if (chdir(directory.c_str()) == 0) execv(argv[0], argv.data());
        _exit(127);
    }
    const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
    pollfd fds[2] = {{process.get(), POLLIN, 0}, {call ? call->cancel.fd() : -1, POLLIN, 0}};
    while (process && !(call && call->cancel.cancelled()) && (poll(fds, 2, -1) >= 0 || errno == EINTR) && !fds[0].revents) {
    }
    if (call && call->cancel.cancelled()) kill(child, SIGKILL);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (call) call->cancel.poll();
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    throw text.error(section.at, "%" + section.name + (WIFSIGNALED(status) ? " was ended by signal " + std::to_string(WTERMSIG(status))
                                                                           : " failed with status " + std::to_string(WEXITSTATUS(status))));
}

}  // namespace sg
